import { join } from 'node:path'
import type { Ended } from '../cli/nsb.ts'
import { nsb, temporaryFolder } from '../cli/nsb.ts'
import { type RunningNsb, startNsb } from './running-nsb.ts'
import { shop, write } from './shop-project.ts'
import type { VirtualHost } from './virtual-host.ts'

/** The usual shop on a virtual host, with a state folder of its own. */
export interface BrokerShop {
  readonly folder: string
  readonly state: string
  run(...words: readonly string[]): Promise<Ended>
  start(...words: readonly string[]): RunningNsb
}

/** @param settings of the profile, beside the connection */
export function brokerShop(host: VirtualHost, settings: Readonly<Record<string, unknown>> = {}, statements?: string): BrokerShop {
  const folder = shop(statements)
  const profile = { transport: 'rabbitmq', connection: host.url, management: host.management.url, ...settings }
  write(folder, {
    'nsb.json': JSON.stringify({ endpoint: { name: 'Shop' }, routing: { 'Shop.*': 'Shop' }, profiles: { default: profile } }),
  })
  const state = join(temporaryFolder(), 'state')
  const env = { NSB_STATE_DIR: state, CI: '1' }
  return {
    folder,
    state,
    run: (...words) => nsb(words, { cwd: folder, env }),
    start: (...words) => startNsb(words, folder, env),
  }
}
