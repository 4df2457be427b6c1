import { hostname, userInfo } from 'node:os'
import type { Channel, ChannelModel } from 'amqplib'
import packageJson from '../../../package.json' with { type: 'json' }
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { connectError, lostError } from './broker-error.ts'
import type { BrokerHost, ConnectionSettings } from './connection-settings.ts'
import { writeOncePerTurn } from './cork.ts'

const heartbeatSeconds = 60

export interface ConnectionOptions {
  readonly settings: ConnectionSettings
  /** As the management pages show it, such as `Shop.Sales Publish`. */
  readonly name: string
  /** The endpoint the connection is for. */
  readonly endpoint: string
  /** Bounds connecting to one host and the handshake. */
  readonly timeoutMs: number
  readonly warn: (warning: string) => void
}

/** One named connection, opened when it is first needed, and opened again when it was lost. */
export class BrokerConnection {
  readonly #options: ConnectionOptions
  #opening: Promise<ChannelModel> | undefined
  #closed = false
  /** The host that answered last is asked first. */
  #first = 0
  readonly #lost = new Set<(error: NsbError) => void>()
  /** Why the broker takes no messages now; undefined while it takes them. */
  blocked: string | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** Told whenever an open connection is lost, with the reason. */
  onLost(listener: (error: NsbError) => void): void {
    this.#lost.add(listener)
  }

  /** @throws {NsbError} why it cannot be opened; NSB_TRANSPORT_CLOSED after {@link close} */
  open(): Promise<ChannelModel> {
    if (this.#closed)
      return Promise.reject(
        new NsbError({
          code: 'NSB_TRANSPORT_CLOSED',
          message: `The connection '${this.name}' is not used any more: its transport was closed.`,
        }),
      )
    this.#opening ??= this.#connect().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** A channel for one errand: what goes wrong on it closes it, and nothing else. */
  async withChannel<T>(use: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await (await this.open()).createChannel()
    let failed: unknown
    channel.on('error', (error) => {
      failed = error
    })
    try {
      return await use(channel)
    } catch (error) {
      // A reply says that the channel ended; the event says why.
      throw failed ?? error
    } finally {
      if (failed === undefined) await channel.close().catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const opening = this.#opening
    this.#opening = undefined
    const model = await opening?.catch(() => undefined)
    await model?.close().catch(() => undefined)
  }

  async #connect(): Promise<ChannelModel> {
    const { hosts } = this.#options.settings
    const failures: NsbError[] = []
    for (let index = 0; index < hosts.length; index++) {
      const at = (this.#first + index) % hosts.length
      const host = hosts[at] as BrokerHost
      try {
        const model = await this.#connectTo(host)
        this.#first = at
        return model
      } catch (error) {
        failures.push(error instanceof NsbError ? error : connectError(error, this.#options.settings, host))
      }
    }
    const [only] = failures
    if (only && failures.length === 1) throw only
    throw new NsbError({
      code: failures[0]?.code ?? 'NSB_CONNECTION_FAILED',
      message: `None of the ${hosts.length} hosts can be used. ${failures.map(({ message }) => message).join(' ')}`,
      suggestions: [...new Set(failures.flatMap(({ suggestions }) => suggestions))],
    })
  }

  async #connectTo(host: BrokerHost): Promise<ChannelModel> {
    const { settings, timeoutMs } = this.#options
    const { connect, credentials } = (await import('amqplib')).default
    const { tls } = settings
    const model = await connect(
      {
        protocol: tls ? 'amqps' : 'amqp',
        hostname: host.host,
        port: host.port,
        // It is unescaped again on the way.
        vhost: encodeURIComponent(settings.virtualHost),
        heartbeat: heartbeatSeconds,
      },
      {
        // Without it small frames wait 40 ms for an acknowledgement.
        noDelay: true,
        keepAlive: true,
        timeout: timeoutMs,
        clientProperties: { connection_name: this.name, ...clientProperties(this.#options.endpoint) },
        credentials: tls?.externalAuth ? credentials.external() : credentials.plain(settings.user, settings.revealPassword()),
        ...(tls && {
          rejectUnauthorized: tls.verify ?? true,
          ...(tls.ca === undefined ? {} : { ca: tls.ca }),
          ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
          ...(tls.key === undefined ? {} : { key: tls.key }),
          ...(tls.pfx === undefined ? {} : { pfx: tls.pfx }),
          ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
        }),
      },
    )
    if (this.#closed) await model.close().catch(() => undefined)
    else this.#watch(model)
    return model
  }

  #watch(model: ChannelModel): void {
    writeOncePerTurn(model)
    let reason: unknown
    model.on('error', (error) => {
      reason = error
    })
    model.on('close', (error) => {
      this.#opening = undefined
      this.blocked = undefined
      if (this.#closed) return
      const lost = lostError(this.name, this.#options.settings, reason ?? error)
      for (const listener of this.#lost) listener(lost)
    })
    model.on('blocked', (why) => {
      this.blocked = why
      this.#options.warn(`The broker takes no messages on '${this.name}' for now: ${why}. Sends wait until it does again.`)
    })
    model.on('unblocked', () => {
      this.blocked = undefined
      this.#options.warn(`The broker takes messages on '${this.name}' again.`)
    })
    // An error that a listener of ours throws would otherwise end the process.
    model.on('handler-error', (error) => this.#options.warn(`An event of '${this.name}' could not be handled: ${errorText(error)}`))
  }
}

/** What the management pages show beside the name. */
function clientProperties(endpoint: string): Record<string, string> {
  return {
    client_api: 'nsb',
    nsb_version: packageJson.version,
    application: endpoint,
    endpoint_name: endpoint,
    machine_name: hostname(),
    user: userName(),
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
