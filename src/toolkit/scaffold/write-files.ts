import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { makeFolder } from '../../transport/making-folders.ts'

export interface NewFile {
  /** Relative to the project, with forward slashes. */
  readonly path: string
  readonly content: string
  /** What it declares, such as `Shop.PlaceOrder (command)`. */
  readonly type?: string
}

/** `keep`: there is another one, which stays. */
export type FileAction = 'create' | 'same' | 'conflict' | 'overwrite' | 'keep'

export interface PlannedFile extends NewFile {
  readonly action: FileAction
  /** What is there now. */
  readonly existing?: string
}

/** What would happen to each file; nothing is written. @throws {NsbError} NSB_BAD_PATH */
export async function planFiles(root: string, files: readonly NewFile[], force: boolean): Promise<readonly PlannedFile[]> {
  return Promise.all(
    files.map(async (file): Promise<PlannedFile> => {
      await checkPath(root, file.path)
      const existing = await readFile(join(root, file.path), 'utf8').catch(() => undefined)
      if (existing === undefined) return { ...file, action: 'create' }
      if (existing.replaceAll('\r\n', '\n') === file.content) return { ...file, action: 'same', existing }
      return { ...file, action: force ? 'overwrite' : 'conflict', existing }
    }),
  )
}

/** A folder of the project as it was given, with forward slashes. @throws {NsbError} NSB_BAD_PATH outside the project */
export function folderInside(root: string, folder: string): string {
  const path = relative(root, resolve(root, folder))
  if (path.startsWith('..') || isAbsolute(path))
    throw new NsbError({
      code: 'NSB_BAD_PATH',
      message: `'${folder}' is outside the project in ${root}.`,
      suggestions: ['Give a folder of the project: --dir src/handlers'],
    })
  return path.replaceAll('\\', '/')
}

async function checkPath(root: string, path: string): Promise<void> {
  const parts = path.split('/')
  for (let depth = 1; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join('/')
    const found = await stat(join(root, part)).catch(() => undefined)
    if (!found) return
    const isLast = depth === parts.length
    if (isLast ? found.isDirectory() : !found.isDirectory())
      throw new NsbError({
        code: 'NSB_BAD_PATH',
        message: isLast
          ? `'${part}' is to be a file, but there is a folder of that name.`
          : `'${part}' is to be a folder, but there is a file of that name.`,
        suggestions: ['Choose another folder with --dir'],
        details: { path: part },
      })
  }
}

/** Writes what is new or to be overwritten: all of it, or nothing. Conflicts must have been refused before. */
export async function writeFiles(root: string, files: readonly PlannedFile[]): Promise<void> {
  const wanted = files.filter(({ action }) => action === 'create' || action === 'overwrite')
  if (wanted.length === 0) return
  await makeFolder(root)
  // Inside the project: a rename works only within one file system.
  const aside = await mkdtemp(join(root, '.nsb-scaffold-'))
  const undo: (() => Promise<void>)[] = []
  try {
    for (const [index, { content }] of wanted.entries()) await writeFile(join(aside, `${index}`), content)
    for (const [index, { path, action }] of wanted.entries()) {
      const target = join(root, path)
      const firstNew = await makeFolder(dirname(target))
      if (firstNew !== undefined) undo.push(() => rm(firstNew, { recursive: true }))
      if (action === 'overwrite') {
        await rename(target, join(aside, `${index}.before`))
        undo.push(() => rename(join(aside, `${index}.before`), target))
      }
      await rename(join(aside, `${index}`), target)
      undo.push(() => rm(target))
    }
  } catch (error) {
    for (const step of undo.toReversed()) await step()
    throw error
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** @throws {NsbError} NSB_FILE_CONFLICT when a file exists with other content */
export function refuseConflicts(files: readonly PlannedFile[]): void {
  const conflicts = files.filter(({ action }) => action === 'conflict').map(({ path }) => path)
  if (conflicts.length === 0) return
  throw new NsbError({
    code: 'NSB_FILE_CONFLICT',
    message: `${conflicts.map((path) => `'${path}'`).join(', ')} ${conflicts.length === 1 ? 'exists' : 'exist'} with other content. Nothing was written.`,
    suggestions: ['Overwrite with --force', 'Look at the content without writing: --dry-run'],
    details: { files: files.map(({ path, action, type }) => ({ path, action, ...(type === undefined ? {} : { type }) })) },
  })
}
