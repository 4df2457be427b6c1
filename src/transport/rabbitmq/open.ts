import type { Transport } from '../transport.ts'
import { type TlsSettings, parseConnection, parseHosts } from './connection-settings.ts'
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
  /** Bounds connecting, in ms; default: 30,000. */
  readonly timeoutMs?: number
  /** A message that is not confirmed for so long counts as failed, in ms; default: the connection decides. */
  readonly confirmTimeoutMs?: number
}

/** From the words of a configuration. @throws {NsbError} NSB_BAD_CONNECTION */
export function openRabbitTransport(
  { connection, hosts, tls, ...rest }: RabbitSettings,
  others: Pick<RabbitOptions, 'endpoint' | 'clock' | 'warn'>,
): Transport {
  const { settings, warnings } = parseConnection(connection)
  const warn = others.warn ?? ((warning: string): void => process.emitWarning(warning, 'NsbWarning'))
  for (const warning of warnings) warn(warning)
  const secure = settings.tls !== undefined
  return rabbitTransport({
    ...rest,
    ...others,
    warn,
    settings: settings.with({ hosts: parseHosts(hosts ?? [], secure), ...(secure && tls ? { tls } : {}) }),
  })
}
