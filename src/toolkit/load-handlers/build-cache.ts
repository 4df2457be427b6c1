import { hash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, readlinkSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BuildInputs } from './build-plugin.ts'
import { type Built, buildOptions } from './build.ts'
import { packageRoot } from './own-package.ts'

/**
 * The last build of a set of files, kept in a file below node_modules, since esbuild takes longer than all the rest of a start.
 *
 * An entry is used when everything it depended on is as it was: the text of every source, the files next to them (an import without an
 * extension may mean another one tomorrow), and the package.json and tsconfig.json files above. What cannot be read, is damaged or is not
 * as it was is as good as absent, and the next build replaces it. Entries are written aside and renamed, so processes may share them.
 */
export class BuildCache {
  readonly #folder: string
  readonly #file: string
  readonly #root: string

  /**
   * @param base the folder in node_modules/.cache; a build is for folders two levels below it
   * @param files absolute
   */
  constructor(base: string, root: string, files: readonly string[]) {
    this.#folder = join(base, 'builds')
    this.#root = root
    this.#file = join(
      this.#folder,
      `${hash('sha256', JSON.stringify([maker(), base, root, files, files.map(linkless)])).slice(0, 32)}.json`,
    )
  }

  read(): Built | undefined {
    try {
      const text = readFileSync(this.#file, 'utf8')
      const content = text.slice(digestLength)
      if (text.slice(0, digestLength) !== digest(content)) return undefined
      const entry = JSON.parse(content) as Entry
      return entry.marks.every(([kind, path, is]) => mark(kind, path) === is) ? entry.built : undefined
    } catch {
      return undefined
    }
  }

  /** @param startedAt of the build, in ms since 1970: what changed since then may not be what was built */
  write(built: Built, inputs: BuildInputs, startedAt: number): void {
    try {
      const settings = settingsAbove(this.#root, inputs)
      if (settings === undefined || settings.some((path) => isYoungerThan(path, startedAt))) return
      const marks: Mark[] = [
        ...[...inputs].map(([path, text]): Mark => ['file', path, digest(text)]),
        ...settings.map((path): Mark => ['file', path, mark('file', path)]),
        ...foldersOf(this.#root, inputs).map((path): Mark => ['folder', path, mark('folder', path)]),
      ]
      const content = JSON.stringify({ marks, built } satisfies Entry)
      mkdirSync(this.#folder, { recursive: true })
      const aside = `${this.#file}.${process.pid}.tmp`
      writeFileSync(aside, digest(content) + content)
      renameSync(aside, this.#file)
      this.#removeOldest()
    } catch {
      // A full or read-only disk: then every start builds.
    }
  }

  /** Each set of files has an entry, and sets come and go with the files. */
  #removeOldest(): void {
    const entries = readdirSync(this.#folder).map((name) => {
      const path = join(this.#folder, name)
      return { path, time: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }
    })
    for (const { path } of entries.toSorted((a, b) => b.time - a.time).slice(mostEntries)) rmSync(path, { force: true })
  }
}

const mostEntries = 20

const linkless = (path: string): string | undefined =>
  statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : realpathSync(path)

interface Entry {
  readonly marks: readonly Mark[]
  readonly built: Built
}

/** What must be as it was: the text of a file, or which code files a folder has. null: there is none. */
type Mark = readonly [kind: 'file' | 'folder', path: string, is: string | null]

const digest = (text: string): string => hash('sha256', text)
const digestLength = 64

function mark(kind: Mark[0], path: string): string | null {
  try {
    return digest(kind === 'file' ? readFileSync(path, 'utf8') : codeFilesIn(path).join('/'))
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

/** Links with where they lead. */
function codeFilesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      if (entry.isSymbolicLink()) return `${entry.name} -> ${readlinkSync(join(folder, entry.name))}`
      return /\.(?:[cm]?[jt]sx?|json)$/.test(entry.name) ? entry.name : []
    })
    .toSorted()
}

/** Who builds, and how: another version of anything may build something else. */
function maker(): readonly unknown[] {
  const self = fileURLToPath(import.meta.url)
  const own = createRequire(self)
  const { mtimeMs, size } = statSync(self)
  const packageText = (path: string): string => readFileSync(path, 'utf8')
  return [
    process.version,
    process.platform,
    self,
    mtimeMs,
    size,
    packageText(join(packageRoot(), 'package.json')),
    packageText(own.resolve('esbuild/package.json')),
    buildOptions,
  ]
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return !way.startsWith('..') && !isAbsolute(way)
}

function withParents(folder: string): readonly string[] {
  const parent = dirname(folder)
  return parent === folder ? [folder] : [folder, ...withParents(parent)]
}

/** Folders of sources, and those between them and the project's. */
function foldersOf(root: string, inputs: BuildInputs): readonly string[] {
  const own = new Set([...inputs.keys()].map((path) => dirname(path)))
  return [...new Set([...own].flatMap((folder) => withParents(folder).filter((each) => each === folder || isInside(root, each))))]
}

/** Where esbuild looks for settings; undefined when it may also look elsewhere. */
function settingsAbove(root: string, inputs: BuildInputs): readonly string[] | undefined {
  const folders = new Set([root, ...[...inputs.keys()].map((path) => dirname(path))].flatMap(withParents))
  const found = new Set(
    [...folders].flatMap((folder) => ['package.json', 'tsconfig.json', 'jsconfig.json'].map((name) => join(folder, name))),
  )
  // A set shows what is added while it is walked through.
  for (const path of found) {
    const extended = path.endsWith('package.json') ? [] : extendedBy(path)
    if (extended === undefined) return undefined
    for (const each of extended) found.add(each)
  }
  return [...found]
}

/** The files a tsconfig may mean by `extends`; undefined when that cannot be told. */
function extendedBy(path: string): readonly string[] | undefined {
  const text = statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path, 'utf8') : ''
  const names = [...text.matchAll(/"extends"\s*:\s*("[^"]*"|\[[^\]]*\])/g)].flatMap(([, value = '']) =>
    [...value.matchAll(/"([^"]*)"/g)].map(([, name = '']) => name),
  )
  const files = names.map((name) => {
    if (/^\.{0,2}[/\\]|^\.\.?$/.test(name) || isAbsolute(name)) return ['', '.json'].map((ending) => resolve(dirname(path), name) + ending)
    const found = ['', '.json', '/tsconfig.json'].flatMap((ending) => resolved(path, name + ending) ?? [])
    return found.length > 0 ? found : undefined
  })
  return files.includes(undefined) ? undefined : files.flatMap((each) => each ?? [])
}

function resolved(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

function isYoungerThan(path: string, time: number): boolean {
  // File clocks tick every few milliseconds.
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && Math.max(stat.mtimeMs, stat.ctimeMs) > time - 50
}
