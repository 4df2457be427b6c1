import type { Transport } from '../transport.ts'
import { type ConnectionSettings, type TlsSettings, parseConnection, parseHosts } from './connection-settings.ts'
import type { ManagementSettings } from './management.ts'
import { type RabbitOptions, rabbitTransport } from './transport.ts'

/** What the RabbitMQ transport needs to know; the same words as in a profile of `nsb.json`. */
export interface RabbitSettings {
  /** `amqp://user:password@host:port/vhost`, or `host=…;userName=…;password=…`. */
  readonly connection: string
  /** Further nodes of the cluster, `name` or `name:port`; used when the first cannot be reached. */
  readonly hosts?: readonly string[]
  readonly tls?: TlsSettings
  /** The same for all endpoints of a system; default: conventional. */
  readonly topology?: 'conventional' | 'direct'
  /** Of queues that are created; default: quorum. */
  readonly queueType?: 'quorum' | 'classic'
  /** Whether exchanges and classic queues survive a restart of the broker; default: true. */
  readonly durable?: boolean
  /** Direct topology: the topic exchange of events; default: `amq.topic`. */
  readonly eventExchange?: string
  readonly management?: ManagementSettings
  /** Where queues that must not be looked at again are noted, and messages kept that cannot stay whole; files nobody else may read. Default: nowhere. */
  readonly stateFolder?: string
  /** Bounds connecting, in ms; default: 30,000. */
  readonly timeoutMs?: number
  /** A message that is not confirmed for so long counts as failed, in ms; default: the connection decides. */
  readonly confirmTimeoutMs?: number
}

/** The broker that a configuration names. @throws {NsbError} NSB_BAD_CONNECTION */
export function connectionOf({ connection, hosts, tls }: RabbitSettings, warn: (warning: string) => void): ConnectionSettings {
  const { settings, warnings } = parseConnection(connection)
  for (const warning of warnings) warn(warning)
  const secure = settings.tls !== undefined
  return settings.with({ hosts: parseHosts(hosts ?? [], secure), ...(secure && tls ? { tls } : {}) })
}

/** From the words of a configuration. @throws {NsbError} NSB_BAD_CONNECTION */
export function openRabbitTransport(settings: RabbitSettings, others: Pick<RabbitOptions, 'endpoint' | 'clock' | 'warn'>): Transport {
  const { connection: _connection, hosts: _hosts, tls: _tls, ...rest } = settings
  const warn = others.warn ?? ((warning: string): void => process.emitWarning(warning, 'NsbWarning'))
  return rabbitTransport({ ...rest, ...others, warn, settings: connectionOf(settings, warn) })
}
