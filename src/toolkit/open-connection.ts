import { realpathSync, statSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import type { BrokerChoice } from './profile/broker-choice.ts'
import type { Connection, Project } from './project.ts'
import { stateFolder } from './state-folder.ts'
import { brokerHosts, discoverStorage, openTransport, subscribersIn } from '../transport/open.ts'
import type { EventType, Transport } from '../transport/transport.ts'

export interface Told {
  /** Where the storage is and why; for `--verbose`. */
  detail(text: string): void
  /** Of what was skipped, or interrupted and goes on. */
  warning(text: string): void
  /** Nobody knows whether everything is back that was looked at in a queue; it was a warning as well. */
  notGivenBack?(): void
}

export interface OpenOptions {
  /** Whom the connections belong to, as a broker shows it. */
  readonly endpoint?: string | undefined
  /** Of the queues that are made, instead of that of the profile. */
  readonly queueType?: 'quorum' | 'classic' | undefined
  /** Bounds connecting, in ms. */
  readonly timeoutMs?: number | undefined
  /** Bounds the wait for the confirm of each message, in ms; undefined: the connection decides. */
  readonly confirmTimeoutMs?: number | undefined
  /** Once it is aborted, no message waits for a broker that takes none now. */
  readonly interrupted?: AbortSignal | undefined
}

export interface Opened {
  readonly transport: Transport
  /** For people: what it is, where, and why there. */
  readonly where: string
  /** Which one it is, the same from every folder. */
  readonly place: string
  /** The same for every way to write it, as {@link identityOf} gives it. */
  readonly identity: string
  /** The queues that get a copy of an event that is published now; undefined: that cannot be known here. */
  readonly subscribersOf?: (event: EventType) => Promise<readonly string[]>
}

/**
 * Opens what {@link Connection} says; nothing of a transport is loaded before.
 *
 * @throws {NsbError} NSB_NO_STORAGE, NSB_NO_CONNECTION, NSB_BAD_CONNECTION, NSB_UNKNOWN_TRANSPORT
 */
export async function openConnection(connection: Connection, project: Project, told: Told, options: OpenOptions = {}): Promise<Opened> {
  told.detail(
    `profile ${connection.profile.value} (${connection.profile.origin}), transport ${connection.transport.value} (${connection.transport.origin})`,
  )
  if (connection.broker !== undefined) return openBroker(connection.broker, told, options)
  if (connection.transport.value !== 'learning')
    return {
      transport: await openTransport({ kind: connection.transport.value }),
      where: connection.transport.value,
      place: connection.transport.value,
      identity: connection.transport.value,
    }
  const storage = await storageOf(connection, project)
  told.detail(`storage ${storage.path} (${storage.reason})`)
  // A misspelled folder would look like an empty one.
  const found = statSync(storage.path, { throwIfNoEntry: false })
  if (connection.storage !== undefined && !found?.isDirectory())
    throw new NsbError({
      code: 'NSB_NO_STORAGE',
      message: `The storage folder '${storage.path}' (${storage.reason}) ${found ? 'is a file' : 'does not exist'}.`,
      suggestions: [...(found ? [] : [`mkdir -p ${storage.path}`]), 'Name another one: --storage <dir>'],
      details: { storage: storage.path, origin: storage.reason },
    })
  return {
    transport: await openTransport({
      kind: 'learning',
      storage: storage.path,
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      warn: (text) => told.warning(text),
    }),
    where: `learning (${relative(process.cwd(), storage.path) || '.'}, ${storage.reason})`,
    place: `learning ${resolve(storage.path)}`,
    identity: ofFolder(storage.path),
    subscribersOf: (event) => subscribersIn(resolve(storage.path), event),
  }
}

async function openBroker(choice: BrokerChoice, told: Told, { endpoint, interrupted, queueType, ...times }: OpenOptions): Promise<Opened> {
  const { readBroker } = await import('./profile/broker-settings.ts')
  const warn = (text: string): void => told.warning(text)
  const { origin, settings, shown } = await readBroker(choice, { env: process.env, timeoutMs: times.timeoutMs, warn })
  told.detail(`connection ${shown} (${origin})`)
  const transport = await openTransport({
    kind: 'rabbitmq',
    rabbitmq: {
      ...settings,
      stateFolder: stateFolder(process.env),
      ...(queueType !== undefined && { queueType }),
      ...(times.timeoutMs !== undefined && { timeoutMs: times.timeoutMs }),
      ...(times.confirmTimeoutMs !== undefined && { confirmTimeoutMs: times.confirmTimeoutMs }),
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(interrupted !== undefined && { interrupted }),
    warn,
    notGivenBack: () => told.notGivenBack?.(),
  })
  return {
    transport,
    where: `rabbitmq (${shown}, ${origin})`,
    place: `rabbitmq ${withoutLogin(shown)}`,
    identity: await ofBroker(settings),
  }
}

/**
 * Which queues a connection leads to, the same for every way to write it and for every user. Nothing is connected with.
 *
 * @throws {NsbError} NSB_NO_STORAGE, NSB_NO_CONNECTION, NSB_BAD_CONNECTION, NSB_UNTRUSTED_FOLDER
 */
export async function identityOf(connection: Connection, project: Project, warn: (warning: string) => void): Promise<string> {
  if (connection.broker !== undefined) {
    const { readBroker } = await import('./profile/broker-settings.ts')
    return ofBroker((await readBroker(connection.broker, { env: process.env, warn })).settings)
  }
  return connection.transport.value === 'learning' ? ofFolder((await storageOf(connection, project)).path) : connection.transport.value
}

async function ofBroker({ connection }: { readonly connection: string }): Promise<string> {
  const { own, port, virtualHost } = await brokerHosts({ connection })
  return JSON.stringify(['rabbitmq', own.toLowerCase(), port, virtualHost])
}

function ofFolder(storage: string): string {
  const path = resolve(storage)
  return JSON.stringify(['learning', statSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path)])
}

function withoutLogin(url: string): string {
  const at = url.lastIndexOf('@')
  return at < 0 ? url : `${url.slice(0, url.indexOf('//') + 2)}${url.slice(at + 1)}`
}

async function storageOf(connection: Connection, project: Project): Promise<{ readonly path: string; readonly reason: string }> {
  if (connection.storage !== undefined) return { path: connection.storage.value, reason: connection.storage.origin }
  const found = discoverStorage({ from: project.folder })
  if (found !== undefined) return found
  throw new NsbError({
    code: 'NSB_NO_STORAGE',
    message: `No storage folder of the learning transport: neither a solution file nor a folder '.learningtransport' in '${project.folder}' or above it.`,
    suggestions: ['Name one: --storage <dir> or NSB_STORAGE', 'Make one where you are: mkdir .learningtransport'],
    details: { from: project.folder },
  })
}
