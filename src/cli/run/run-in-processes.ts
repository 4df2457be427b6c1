import { resolve } from 'node:path'
import type { FoundEndpoints } from '../../toolkit/run/find-endpoints.ts'
import { findProject } from '../../toolkit/project.ts'
import { noColours } from '../colour.ts'
import { type EndpointsRan, runEndpoints } from './endpoints.ts'
import { type RunFlags, wantsJson } from './flags.ts'
import type { RunHost } from './host.ts'

/** Flags that are this process's own business, or are handed on with another value. */
const keptHere = ['watch', 'inspect', 'purge', 'max', 'max-time', 'connection']
/** Flags that say where the messages are. */
const connection = ['profile', 'transport', 'storage', 'timeout', 'confirm', 'no-color']

/** A flag as it was typed; `takesValue` is false for a switch. */
export interface TypedFlag {
  readonly name: string
  readonly value: string
  readonly takesValue: boolean
}

/** Runs each endpoint in a process of its own: several of them, new code, keys. */
export async function runInProcesses(
  host: RunHost,
  flags: RunFlags,
  { found, keys, typed }: { readonly found: FoundEndpoints; readonly keys: boolean; readonly typed: readonly TypedFlag[] },
): Promise<EndpointsRan> {
  const { NSB_STORAGE: storage } = process.env
  const words = wordsOf(typed.filter(({ name }) => !keptHere.includes(name)))
  return runEndpoints({
    endpoints: found.endpoints,
    words: (start) => [
      ...words,
      `--supervised=${start.keys ? 'keys' : 'plain'}`,
      ...(start.isFirst && flags.purge ? ['--purge'] : []),
      ...(start.max === undefined ? [] : [`--max=${start.max}`]),
    ],
    connectionWords: wordsOf(typed.filter(({ name }) => connection.includes(name))),
    nodeWords: flags.inspect ? [found.endpoints.length > 1 ? '--inspect=0' : '--inspect'] : [],
    env: {
      ...process.env,
      ...(storage && { NSB_STORAGE: resolve(storage) }),
      // A password among the words of a process can be seen by others.
      ...(host.connection && { NSB_CONNECTION: host.connection }),
      ...(typed.some(({ name }) => name === 'connection') && { NSB_TRANSPORT: 'rabbitmq' }),
      ...(host.colour.out !== noColours && { FORCE_COLOR: '1' }),
    },
    watch: flags.watch ? { root: found.root, except: await storageFolders(host, found.root) } : undefined,
    untilIdle: flags['until-idle'] !== undefined,
    max: flags.max,
    maxTimeMs: flags['max-time'],
    json: wantsJson(flags),
    keys,
    colour: host.colour,
    signal: host.signal,
    note: host.note,
    warning: host.warning,
    confirm: (question, answer) => host.confirm(question, { typed: answer }),
  })
}

// The processes start in the folders of their endpoints.
function wordsOf(typed: readonly TypedFlag[]): readonly string[] {
  return typed.map(({ name, takesValue, value }) => (takesValue ? `--${name}=${name === 'storage' ? resolve(value) : value}` : `--${name}`))
}

// What is received must not count as a change.
async function storageFolders(host: RunHost, root: string): Promise<readonly string[]> {
  const profiles = await findProject(root).then(
    (project) => Object.values(project.profiles),
    () => [],
  )
  return [
    ...(host.storage === undefined ? [] : [resolve(host.storage)]),
    ...profiles.flatMap(({ storage }) => (storage === undefined ? [] : [resolve(root, storage)])),
  ]
}
