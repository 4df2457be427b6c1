import { type Stats, lstatSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Somebody else who can change what lies at a path. */
export interface Stranger {
  /** What is theirs. */
  readonly path: string
  /** What has to be trusted for it: the folder that holds a configuration file, else the path itself. */
  readonly folder: string
  /** The number of the owner; `anyone`: everybody may write there. */
  readonly owner: number | 'anyone'
}

/** What an owner is compared with. */
export interface Identity {
  /** undefined: this system does not tell who owns a file. */
  readonly user: number | undefined
  /** Who called sudo, as git asks it. */
  readonly behindSudo: number | undefined
}

export function identityOf(env: NodeJS.ProcessEnv, user: number | undefined = process.geteuid?.()): Identity {
  const { SUDO_UID } = env
  return { user, behindSudo: user === 0 && SUDO_UID !== undefined && /^\d{1,10}$/.test(SUDO_UID) ? Number(SUDO_UID) : undefined }
}

/**
 * Who else can change what lies at a path: another owner, of the link or of what it leads to, or everybody. Root can change everything
 * anyway, so what is root's is nobody's in particular.
 *
 * @returns undefined: nobody, or there is nothing
 */
export function ownerElsewhere(path: string, me: Identity): Stranger['owner'] | undefined {
  // Everybody may make folders in the root of a drive.
  if (me.user === undefined) return process.platform === 'win32' && dirname(path) === path ? 'anyone' : undefined
  const itself = tryStat(() => lstatSync(path))
  if (itself === undefined) return undefined
  if (!isOurs(itself, me)) return itself.uid
  const target = itself.isSymbolicLink() ? tryStat(() => statSync(path)) : itself
  if (target === undefined) return undefined
  return isOurs(target, me) ? (isForEverybody(target) ? 'anyone' : undefined) : target.uid
}

const isOurs = ({ uid }: Stats, { behindSudo, user }: Identity): boolean => uid === user || uid === 0 || uid === behindSudo
const isForEverybody = ({ mode }: Stats): boolean => (mode & 0o002) !== 0

function tryStat(stat: () => Stats): Stats | undefined {
  try {
    return stat()
  } catch {
    return undefined
  }
}

/** What Node and esbuild look for in all the folders above a file, and let decide what runs. */
const steering = ['node_modules', 'package.json', 'tsconfig.json', 'jsconfig.json']

const configuration = 'nsb.json'

/** Who else decides what a command does that the nsb.json of a folder names. */
export function strangersOfCommand(folder: string, me: Identity): readonly Stranger[] {
  return [folder, join(folder, configuration)].flatMap((path) => found(path, folder, me))
}

/**
 * Who else decides what happens when the code of a folder runs. In the folders above only those count in which others can put something:
 * one look at each, and where there is reason for it one at each of the four names.
 */
export function strangersOfCode(folder: string, me: Identity): readonly Stranger[] {
  const above: Stranger[] = []
  for (let at = folder; at !== dirname(at); ) {
    at = dirname(at)
    if (ownerElsewhere(at, me) !== undefined) above.push(...steering.map((name) => join(at, name)).flatMap((path) => found(path, path, me)))
  }
  return [...strangersOfCommand(folder, me), ...above]
}

/** Who else decides what a copy of nsbus does, from the folder of whose packages it is one. */
export function strangersOfCopy(folder: string, me: Identity): readonly Stranger[] {
  const modules = join(folder, 'node_modules')
  const copy = join(modules, 'nsbus')
  const inside = ['', 'package.json', 'bin', join('bin', 'run.js')].map((name) => join(copy, name))
  return [folder, modules, ...inside].flatMap((path) => found(path, folder, me))
}

function found(path: string, folder: string, me: Identity): readonly Stranger[] {
  const owner = ownerElsewhere(path, me)
  return owner === undefined ? [] : [{ path, folder, owner }]
}

/** For people: `'bob' (1001)`, or the number alone where it has no name. */
export function nameOfOwner(owner: number): string {
  try {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((each) => each.split(':')[2] === String(owner))
    return line === undefined ? `user ${owner}` : `'${line.slice(0, line.indexOf(':'))}' (${owner})`
  } catch {
    return `user ${owner}`
  }
}
