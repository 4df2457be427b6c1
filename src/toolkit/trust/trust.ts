import { readFileSync, realpathSync } from 'node:fs'
import { delimiter, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { userConfigFile } from '../config/user-file.ts'
import { type Stranger, identityOf, nameOfOwner, strangersOfCode, strangersOfCommand } from './stranger.ts'

/** Asks whether what is somebody else's may run all the same; false where nobody can be asked. */
export type Consent = (question: string) => Promise<boolean>

/** What is about to run, from where. */
export interface Execution {
  readonly kind: 'code' | 'command'
  /** The folder of the project. */
  readonly folder: string
  readonly consent: Consent | undefined
}

/** What was found to be in order, or was allowed, by this process. */
const settled = new Set<string>()

/**
 * Refuses to run what somebody else can change: a folder of another owner, or one that everybody may write to. NSB_TRUST overrules that, and
 * so does a yes, which is remembered.
 *
 * @throws {NsbError} NSB_UNTRUSTED_FOLDER
 */
export async function requireTrust(execution: Execution, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const { consent, folder, kind } = execution
  const key = `${kind} ${folder}`
  if (settled.has(key)) return
  const strangers = kind === 'code' ? strangersOfCode : strangersOfCommand
  for (const stranger of strangers(resolve(folder), identityOf(env))) {
    if (isAllowed(stranger, env)) continue
    const said = whoseItIs(stranger)
    if ((await consent?.(`${said} Run what is in '${stranger.folder}' all the same, with your rights, now and later?`)) !== true)
      throw untrusted(
        stranger,
        `${said} Without NSB_TRUST ${kind === 'code' ? 'no code of this project' : 'no command of its profiles'} is run.`,
      )
    await remember(stranger, env)
  }
  settled.add(key)
}

/** Was it allowed, by NSB_TRUST or by a yes that was remembered? */
export function isAllowed({ folder, owner }: Stranger, env: NodeJS.ProcessEnv): boolean {
  const { NSB_TRUST = '' } = env
  const named = NSB_TRUST.split(delimiter).filter((entry) => entry !== '')
  if (named.some((entry) => entry === '*' || isWithin(folder, entry))) return true
  return Object.entries(remembered(env)).some(([entry, of]) => of === String(owner) && isWithin(folder, entry))
}

/** The same folder, or one below it. */
function isWithin(folder: string, entry: string): boolean {
  return [resolve(entry), withoutLinks(entry)].some((root) => {
    const way = relative(root, folder)
    return way === '' || (!isAbsolute(way) && way.split(/[/\\]/, 1)[0] !== '..')
  })
}

function withoutLinks(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

/** Where a yes is remembered: folders, each with the owner it had. */
export const trustFile = (env: NodeJS.ProcessEnv): string => join(dirname(userConfigFile(env)), 'trust.json')

function remembered(env: NodeJS.ProcessEnv): Readonly<Record<string, unknown>> {
  try {
    const { folders } = JSON.parse(readFileSync(trustFile(env), 'utf8')) as { readonly folders?: unknown }
    return typeof folders === 'object' && folders !== null ? (folders as Readonly<Record<string, unknown>>) : {}
  } catch {
    // What cannot be read allows nothing.
    return {}
  }
}

async function remember({ folder, owner }: Stranger, env: NodeJS.ProcessEnv): Promise<void> {
  // Asked once in a lifetime, and not worth loading at every start.
  const { changeSetting } = await import('../config/change-setting.ts')
  await changeSetting(trustFile(env), ['folders', folder], String(owner))
}

/** Why it is not trusted; for people. */
export function whoseItIs({ owner, path }: Stranger): string {
  return owner === 'anyone' ? `Everybody may write to '${path}'.` : `'${path}' belongs to ${nameOfOwner(owner)}, and not to you.`
}

function untrusted({ folder, owner, path }: Stranger, message: string): NsbError {
  const word = /^[\w@.:/-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", String.raw`'\''`)}'`
  const mine = owner === 'anyone' ? `chmod o-w ${word}` : `chown -R "$(id -u)" ${word}`
  return new NsbError({
    code: 'NSB_UNTRUSTED_FOLDER',
    message,
    suggestions: [
      `If you trust who can write there: export NSB_TRUST=${word}`,
      'Or run it once in a terminal: nsb asks, and remembers the answer',
      ...(path === folder ? [`Or make it yours: ${mine}`] : []),
    ],
    details: { path, folder, owner },
  })
}
