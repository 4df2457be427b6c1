import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Loader, Plugin } from 'esbuild'
import { ownEntry, ownZod } from './own-package.ts'

/** Sources by absolute path, as the build has read them. */
export type BuildInputs = ReadonlyMap<string, string>

/**
 * What makes a build behave as if the sources themselves ran: `nsbus` is the running copy, zod the project's or ours, and a file's
 * own place is where its source is.
 *
 * @param seesProject false: the build is elsewhere, so the project's packages are named by their files
 * @param read gets every source
 */
export function buildPlugin(root: string, seesProject: boolean, read: Map<string, string>): Plugin {
  const project = createRequire(join(root, 'package.json'))
  const resolved = (require: NodeJS.Require, specifier: string): string | undefined => {
    try {
      return require.resolve(specifier)
    } catch {
      return undefined
    }
  }
  return {
    name: 'nsbus',
    setup(build) {
      build.onResolve({ filter: /^nsbus(?:\/|$)/ }, ({ path }) => ownEntry(path))
      build.onResolve({ filter: /^zod(?:\/|$)/ }, ({ path }) => {
        if (resolved(project, path) !== undefined) return undefined
        const own = ownZod(path)
        return own === undefined ? undefined : { path: own, external: true }
      })
      if (!seesProject)
        build.onResolve({ filter: /^[^./#]/ }, ({ path, importer, kind }) => {
          if (kind === 'entry-point' || path.startsWith('node:')) return undefined
          const file = resolved(importer === '' ? project : createRequire(importer), path)
          return file === undefined || file === path ? undefined : { path: pathToFileURL(file).href, external: true }
        })
      build.onLoad({ filter: /\.(?:[cm]?[jt]sx?|json)$/, namespace: 'file' }, async ({ path }) => {
        const text = await readFile(path, 'utf8')
        read.set(path, text)
        const loader = extname(path).replace(/^\.[cm]?(?=[jt]s)|^\./, '') as Loader
        const contents = loader !== 'json' && mentionsItsPlace.test(text) ? withItsPlace(text, path) : text
        return { contents, loader, resolveDir: dirname(path) }
      })
    },
  }
}

const mentionsItsPlace = /\bimport\.meta\.(?:url|dirname|filename)\b|\b__(?:dir|file)name\b/

/** What stands for a file's own place: names that {@link withItsPlace} declares. Only free names are replaced, never a string or a local. */
export const ownPlaces = {
  'import.meta.url': 'nsb$url',
  'import.meta.dirname': 'nsb$folder',
  'import.meta.filename': 'nsb$file',
  __dirname: 'nsb$folder',
  __filename: 'nsb$file',
} as const

// On the first line, so that the others stay where they are.
function withItsPlace(text: string, file: string): string {
  const [, firstLine = '', rest = ''] = /^(#!.*\n)?([^]*)$/.exec(text) ?? []
  const [url, folder, name] = [pathToFileURL(file).href, dirname(file), file].map((place) => JSON.stringify(place))
  return `${firstLine}const nsb$url = ${url}, nsb$folder = ${folder}, nsb$file = ${name}; ${rest}`
}
