import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { makeVirtualHost } from '../../support/virtual-host.ts'
import type { VirtualHost } from '../../support/virtual-host.ts'
import { nsb, temporaryFolder } from '../../cli/nsb.ts'
import type { Ended } from '../../cli/nsb.ts'

/** What every reserved character of an address is in. */
export const password = 's3cr/et @:%;'
/** How it may be written; none of them is ever shown. */
export const spellings = [password, encodeURIComponent(password), encodeURI(password), JSON.stringify(password).slice(1, -1), 's3cr']

export interface Place {
  readonly folder: string
  readonly host: VirtualHost
  /** The same broker and virtual host, with the login of a user who is only there for this test. */
  readonly url: string
  readonly dotnet: string
  readonly env: Readonly<Record<string, string>>
  run(words: readonly string[], more?: { readonly env?: Readonly<Record<string, string>>; readonly input?: string }): Promise<Ended>
}

export interface Permissions {
  readonly configure?: string
  readonly write?: string
  readonly read?: string
}

/** A project folder and a virtual host with a user of its own; `profiles` may need what is known only then. */
export async function place(profiles: (at: Place) => object = () => ({}), permissions: Permissions = {}): Promise<Place> {
  const host = await makeVirtualHost()
  const user = `sales-${randomBytes(4).toString('hex')}`
  await host.api('PUT', `users/${user}`, { password, tags: 'monitoring,policymaker' })
  await host.api('PUT', `permissions/${host.name}/${user}`, { configure: '.*', write: '.*', read: '.*', ...permissions })
  onTestFinished(async () => {
    await host.remove()
    await host.api('DELETE', `users/${user}`)
  })
  const folder = temporaryFolder()
  const home = temporaryFolder()
  mkdirSync(join(folder, '.git'))
  const { hosts } = host.settings
  const [{ host: name, port }] = hosts
  const env = { XDG_CONFIG_HOME: home }
  const at: Place = {
    folder,
    host,
    env,
    url: `amqp://${user}:${encodeURIComponent(password)}@${name}:${port}/${host.name}`,
    dotnet: `host=${name}:${port};virtualHost=${host.name};userName=${user};password="${password}"`,
    run: (words, { env: further = {}, input } = {}) =>
      nsb(words, { cwd: folder, env: { ...env, ...further }, ...(input !== undefined && { input }) }),
  }
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: profiles(at) }, null, 2))
  return at
}
