import type { Transport } from '../transport.ts'
import { type ConnectionSettings, parseConnection, parseHosts } from './connection-settings.ts'
import type { RabbitSettings } from './settings.ts'
import { type RabbitOptions, rabbitTransport } from './transport.ts'

/** The broker that a configuration names. @throws {NsbError} NSB_BAD_CONNECTION */
export function connectionOf({ connection, hosts, tls }: RabbitSettings, warn: (warning: string) => void): ConnectionSettings {
  const { settings, warnings } = parseConnection(connection)
  for (const warning of warnings) warn(warning)
  const secure = settings.tls !== undefined
  return settings.with({ hosts: parseHosts(hosts ?? [], secure), ...(secure && tls ? { tls } : {}) })
}

/** From the words of a configuration. @throws {NsbError} NSB_BAD_CONNECTION */
export function openRabbitTransport(
  settings: RabbitSettings,
  others: Pick<RabbitOptions, 'endpoint' | 'clock' | 'interrupted' | 'notGivenBack' | 'warn'>,
): Transport {
  const { connection: _connection, hosts: _hosts, tls: _tls, ...rest } = settings
  const warn = others.warn ?? ((warning: string): void => process.emitWarning(warning, 'NsbWarning'))
  return rabbitTransport({ ...rest, ...others, warn, settings: connectionOf(settings, warn) })
}
