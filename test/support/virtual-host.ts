import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { parseConnection } from '../../src/transport/rabbitmq/connection-settings.ts'
import type { ConnectionSettings } from '../../src/transport/rabbitmq/connection-settings.ts'
import type { ManagementSettings } from '../../src/transport/rabbitmq/settings.ts'

/** A virtual host of the shared broker. */
export interface VirtualHost {
  readonly name: string
  readonly url: string
  readonly settings: ConnectionSettings
  readonly management: ManagementSettings
  /** Calls the management API. @returns the answer, parsed */
  api<T = unknown>(method: string, path: string, body?: unknown): Promise<T>
  remove(): Promise<void>
}

export async function makeVirtualHost(): Promise<VirtualHost> {
  const { port, managementPort } = inject('broker')
  const name = `test-${randomBytes(6).toString('hex')}`
  const api = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`http://127.0.0.1:${managementPort}/api/${path}`, {
      method,
      headers: { authorization: `Basic ${btoa('guest:guest')}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /api/${path}: ${response.status} ${text}`)
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  await api('PUT', `vhosts/${name}`)
  await api('PUT', `permissions/${name}/guest`, { configure: '.*', write: '.*', read: '.*' })
  const url = `amqp://guest:guest@127.0.0.1:${port}/${name}`
  const management = { url: `http://127.0.0.1:${managementPort}` }
  return { name, url, settings: parseConnection(url).settings, management, api, remove: () => api('DELETE', `vhosts/${name}`) }
}
