import { rmSync } from 'node:fs'
import { access, lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** One build's folder. */
export interface Generation {
  readonly folder: string
  /** The folder of all builds, two levels above; what stays when processes end lies there too. */
  readonly base: string
  /** Packages of the project are found from there. */
  readonly seesProject: boolean
  remove(this: void): Promise<void>
}

let count = 0
const folders = new Set<string>()
let removesAtExit = false

/** A new folder for a build. Those of processes that are gone are removed, and ours when we go. */
export async function newGeneration(root: string, outDir?: string): Promise<Generation> {
  const name = join(String(process.pid), String(++count))
  const modules = outDir === undefined ? await nearestModules(root) : undefined
  const inProject = outDir ?? (modules === undefined ? undefined : join(modules, '.cache', 'nsbus'))
  const made = inProject === undefined ? undefined : await tryMake(inProject, name)
  const folder = made ?? (await mustMake(await ownTemporary(), name))
  if (!removesAtExit) process.once('exit', () => folders.forEach((each) => rmSync(each, { recursive: true, force: true })))
  removesAtExit = true
  folders.add(folder)
  const remove = async (): Promise<void> => {
    folders.delete(folder)
    await rm(folder, { recursive: true, force: true })
  }
  return { folder, base: dirname(dirname(folder)), seesProject: made !== undefined && outDir === undefined, remove }
}

async function nearestModules(root: string): Promise<string | undefined> {
  for (let folder = resolve(root); ; folder = dirname(folder)) {
    const modules = join(folder, 'node_modules')
    if (await exists(modules)) return modules
    if (folder === dirname(folder)) return undefined
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** undefined where nothing may be written, as in a read-only container. */
async function tryMake(base: string, name: string): Promise<string | undefined> {
  return mustMake(base, name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' || error.code === 'EROFS' || error.code === 'EPERM') return undefined
    throw error
  })
}

/**
 * The temporary folder of this user. What is built there is run, so one that somebody else made, or may write to, is not used; and a
 * folder for all users would be open to the first of them only.
 */
async function ownTemporary(): Promise<string> {
  const user = process.geteuid?.()
  // On Windows the temporary folder is the user's own.
  if (user === undefined) return join(tmpdir(), 'nsbus')
  const folder = join(tmpdir(), `nsbus-${user}`)
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const facts = await lstat(folder)
  return facts.isDirectory() && facts.uid === user && (facts.mode & 0o022) === 0 ? folder : mkdtemp(join(tmpdir(), 'nsbus-'))
}

async function mustMake(base: string, name: string): Promise<string> {
  const folder = join(base, name)
  await mkdir(folder, { recursive: true })
  const leftovers = (await readdir(base)).filter((pid) => /^\d+$/.test(pid) && !isAlive(Number(pid)))
  await Promise.all(leftovers.map((pid) => rm(join(base, pid), { recursive: true, force: true })))
  return folder
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
