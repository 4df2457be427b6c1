import { basename } from 'node:path'
import { globPattern } from '../load-handlers/find-files.ts'
import type { Project } from '../project.ts'
import { checkNamespace, toPascalCase } from './names.ts'

/** Where generated files go, and what they are called after. */
export interface ProjectLayout {
  readonly root: string
  readonly namespace: string
  readonly messageFolder: string
  readonly handlerFolder: string
  /** Globs as nsb.json has them, or what is looked for without one. */
  readonly messageGlob: string
  readonly handlerGlob: string
}

const extensions = '{ts,mts,cts,js,mjs,cjs}'

/** @throws {NsbError} NSB_BAD_NAME when the namespace is none */
export function projectLayout(project: Project, namespace: string | undefined): ProjectLayout {
  const messageGlob = project.endpoint.messages ?? `src/messages/**/*.${extensions}`
  const handlerGlob = project.endpoint.handlers ?? `**/*.handler.${extensions}`
  return {
    root: project.folder,
    namespace: namespace === undefined ? defaultNamespace(project) : checkNamespace(namespace),
    messageFolder: folderFor('src/messages', 'x.ts', messageGlob),
    handlerFolder: folderFor('src/handlers', 'x.handler.ts', handlerGlob),
    messageGlob,
    handlerGlob,
  }
}

/** The endpoint's name, or that of the folder: `Shop`. */
function defaultNamespace(project: Project): string {
  return endpointNameFor(project.endpoint.name ?? basename(project.folder))
}

/** A name in PascalCase from whatever there is. */
export function endpointNameFor(text: string): string {
  const segments = toPascalCase(text)
    .split('.')
    .map((segment) => segment.replace(/^[0-9]+/, ''))
    .filter((segment) => segment !== '')
  return segments.length === 0 ? 'Endpoint' : segments.join('.')
}

/** The usual folder where the glob finds it, else the one the glob begins with. */
function folderFor(usual: string, file: string, glob: string): string {
  const pattern = globPattern(glob.replace(/^(?:\.\/)+/, ''))
  if (['ts', 'js', 'mts', 'mjs'].some((extension) => pattern.test(`${usual}/${file.replace(/ts$/, extension)}`))) return usual
  const parts = glob
    .replace(/^(?:\.\/)+/, '')
    .split('/')
    .slice(0, -1)
  const first = parts.findIndex((part) => /[*?{}]/.test(part))
  return (first < 0 ? parts : parts.slice(0, first)).join('/')
}
