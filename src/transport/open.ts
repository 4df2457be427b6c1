import { NsbError } from '../message/nsb-error.ts'
import type { Clock } from './clock.ts'
import type { BrokerHosts, BrokerReport, ProbeOptions, RabbitSettings } from './rabbitmq/settings.ts'
import type { EventType, Transport } from './transport.ts'

export interface TransportSettings {
  /** One of {@link transportKinds}. */
  readonly kind: string
  /** Learning: the storage folder. */
  readonly storage?: string
  /** Learning: false lifts the 64 KiB limit. */
  readonly restrictPayloadSize?: boolean
  readonly rabbitmq?: RabbitSettings
  /** Whom the connections belong to, as a broker shows it: the name of the endpoint. Default: `nsb`. */
  readonly endpoint?: string
  readonly clock?: Clock
  /** Learning: how long somebody else is waited for. */
  readonly timeoutMs?: number
  /** Told of what was skipped, or interrupted and goes on; default: a process warning. */
  readonly warn?: (warning: string) => void
  /** Once it is aborted, no message waits for a broker that takes none now. */
  readonly interrupted?: AbortSignal
  /** Told of a queue where nobody knows whether everything is back that a holding had of it. */
  readonly notGivenBack?: (queue: string) => void
}

interface TransportKind {
  readonly kind: string
  /** How connection strings of it begin. */
  readonly schemes: readonly string[]
  fromText(text: string): TransportSettings
  open(settings: TransportSettings): Promise<Transport>
}

/** Every transport there is. Each is loaded when it is opened, so that the others cost nothing. */
export const transportKinds: readonly TransportKind[] = [
  {
    kind: 'learning',
    schemes: ['learning:'],
    fromText: (text) => ({ kind: 'learning', storage: text.slice('learning:'.length) }),
    async open({ storage, restrictPayloadSize, clock, timeoutMs, warn }) {
      if (!storage)
        throw new NsbError({
          code: 'NSB_NO_STORAGE',
          message: 'The learning transport needs a storage folder, and none is named.',
          suggestions: [`Name it: openTransport('learning:/path/.learningtransport')`],
        })
      const { learningTransport } = await import('./learning/transport.ts')
      return learningTransport({
        storage,
        ...(restrictPayloadSize === undefined ? {} : { restrictPayloadSize }),
        ...(clock ? { clock } : {}),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(warn ? { warn } : {}),
      })
    },
  },
  {
    kind: 'rabbitmq',
    schemes: ['amqp:', 'amqps:', 'host='],
    fromText: (text) => ({ kind: 'rabbitmq', rabbitmq: { connection: text } }),
    async open({ rabbitmq, endpoint, clock, interrupted, notGivenBack, warn }) {
      if (!rabbitmq?.connection)
        throw new NsbError({
          code: 'NSB_NO_CONNECTION',
          message: 'The RabbitMQ transport needs a connection string, and none is named.',
          suggestions: ['Name it: --connection amqp://localhost, or a profile in nsb.json'],
        })
      const { openRabbitTransport } = await import('./rabbitmq/open.ts')
      return openRabbitTransport(rabbitmq, {
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(clock ? { clock } : {}),
        ...(interrupted ? { interrupted } : {}),
        ...(notGivenBack ? { notGivenBack } : {}),
        ...(warn ? { warn } : {}),
      })
    },
  },
  {
    kind: 'memory',
    schemes: ['memory:'],
    fromText: () => ({ kind: 'memory' }),
    async open({ clock }) {
      const { memoryTransport } = await import('./memory/transport.ts')
      return memoryTransport(clock ? { clock } : {})
    },
  },
]

/**
 * Opens a transport from a connection string, such as `learning:/path`, `amqp://localhost` or `memory:`, or from settings.
 *
 * @throws {NsbError} NSB_UNKNOWN_TRANSPORT, NSB_NO_STORAGE, NSB_NO_CONNECTION, NSB_BAD_CONNECTION
 */
export async function openTransport(settings: string | TransportSettings): Promise<Transport> {
  const known =
    typeof settings === 'string'
      ? transportKinds.find(({ schemes }) => schemes.some((scheme) => settings.toLowerCase().startsWith(scheme)))
      : transportKinds.find(({ kind }) => kind === settings.kind)
  if (known) return known.open(typeof settings === 'string' ? known.fromText(settings) : settings)
  // Only the scheme is shown: what follows may hold a password.
  const name = typeof settings === 'string' ? (/^[a-z][a-z0-9+.-]*:/i.exec(settings)?.[0] ?? 'text without a scheme') : settings.kind
  throw new NsbError({
    code: 'NSB_UNKNOWN_TRANSPORT',
    message: `There is no transport for '${name}'. Known: ${transportKinds.flatMap(({ schemes }) => schemes).join(', ')}.`,
    suggestions: [`Use a folder: openTransport('learning:.learningtransport')`],
  })
}

/** Tries a broker without opening a transport. @throws {NsbError} why it cannot be connected with */
export async function probeBroker(settings: RabbitSettings, options: ProbeOptions): Promise<BrokerReport> {
  const probe = await import('./rabbitmq/probe.ts')
  return probe.probeBroker(settings, options)
}

/** The hosts that a configuration of RabbitMQ names; nothing is connected with. @throws {NsbError} NSB_BAD_CONNECTION */
export async function brokerHosts(settings: Pick<RabbitSettings, 'connection' | 'hosts'>): Promise<BrokerHosts> {
  const { hostsOf } = await import('./rabbitmq/connection-settings.ts')
  return hostsOf(settings)
}

/** Who gets a copy of an event that is published now. @param storage the storage folder of the learning transport */
export async function subscribersIn(storage: string, event: EventType): Promise<readonly string[]> {
  const subscriptions = await import('./learning/subscriptions.ts')
  return subscriptions.subscribersIn(storage, event)
}

export type { BrokerReport }
export { discoverStorage } from './learning/discover.ts'
