import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

type Target = string | { readonly [condition: string]: Target }

interface PackageFile {
  readonly name?: string
  readonly exports?: Readonly<Record<string, Target>>
}

const self = fileURLToPath(import.meta.url)

/** True in tests and in bin/dev.js: then there may be no dist, and Node cannot load what there is. */
const fromSources = self.endsWith('.ts')

/** The folder of our own package.json, wherever the build has put this module. */
export function packageRoot(): string {
  for (let folder = dirname(self); folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json')) && packageFile(folder).name === 'nsbus') return folder
  return dirname(self)
}

/** Where the running copy of `nsbus` or `nsbus/<part>` is, and whether it is loaded as it stands or built with its user. */
export function ownEntry(specifier: string): { readonly path: string; readonly external: boolean } | undefined {
  const root = packageRoot()
  const entry = chosen(packageFile(root).exports?.[`.${specifier.slice('nsbus'.length)}`])
  if (entry === undefined) return undefined
  return fromSources
    ? { path: join(root, entry.replace(/^\.\/dist\//, './').replace(/\.js$/, '.ts')), external: false }
    : { path: pathToFileURL(join(root, entry)).href, external: true }
}

/** The file URL of the copy of zod that came with us. */
export function ownZod(specifier: string): string | undefined {
  const folder = dirname(createRequire(self).resolve('zod/package.json'))
  const entry = chosen(packageFile(folder).exports?.[`.${specifier.slice('zod'.length)}`])
  return entry === undefined ? undefined : pathToFileURL(join(folder, entry)).href
}

function packageFile(folder: string): PackageFile {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile
}

function chosen(target: Target | undefined): string | undefined {
  return target === undefined || typeof target === 'string' ? target : (chosen(target['import']) ?? chosen(target['default']))
}
