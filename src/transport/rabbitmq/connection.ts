import { EventEmitter } from 'node:events'
import { hostname, userInfo } from 'node:os'
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib'
import packageJson from '../../../package.json' with { type: 'json' }
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { connectError, lostError } from './broker-error.ts'
import { type BrokerHost, type ConnectionSettings, certificateOf } from './connection-settings.ts'
import { socketOf, writeOncePerTurn } from './cork.ts'
import { readProperties } from './properties-frame.ts'
import { roomForProperties, writeProperties } from './properties-writer.ts'

const heartbeatSeconds = 60
/** One heartbeat on the wire; the broker sends two per interval when it has nothing else to say. */
const heartbeatBytes = 8
/** A broker that does not answer does not keep anybody from closing for longer. */
const endsWithinMs = 5000
/** What was written last may still leave for so long after a connection has ended. */
const lingersMs = 1000

export interface ConnectionOptions {
  readonly settings: ConnectionSettings
  /** As the management pages show it, such as `Shop.Sales Publish`. */
  readonly name: string
  /** The endpoint the connection is for. */
  readonly endpoint: string
  /** Messages are sent or removed on it: when it is lost, nobody knows which of them arrived. */
  readonly movesMessages: boolean
  /** Bounds connecting to one host and the handshake. */
  readonly timeoutMs: number
  readonly warn: (warning: string) => void
}

/** One named connection, opened when it is first needed, and opened again when it was lost. */
export class BrokerConnection {
  readonly #options: ConnectionOptions
  #opening: Promise<ChannelModel> | undefined
  #model: ChannelModel | undefined
  /** Ends the socket of the attempt or the connection there is now. */
  #socket: AbortController | undefined
  #closed = false
  /** The host that answered last is asked first. */
  #first = 0
  readonly #lost = new Set<(error: NsbError) => void>()
  readonly #blocked = new Set<() => void>()
  /** Why the last connection ended. */
  #reason: unknown
  /** Why the broker takes no messages now; undefined while it takes them. */
  blocked: string | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** So many bytes may the properties of a message have; undefined while there is no connection. */
  get roomForProperties(): number | undefined {
    return this.#model && roomForProperties(this.#model)
  }

  /** A broker from which nothing comes for so long does not answer. */
  get timeoutMs(): number {
    return this.#options.timeoutMs
  }

  /** Of the host that answered last: `amqp://user:***@host:5672/vhost` */
  get address(): string {
    const { settings } = this.#options
    return settings.describe(settings.hosts[this.#first] ?? settings.hosts[0])
  }

  /** Told whenever an open connection is lost, with the reason. @returns ends the telling */
  onLost(listener: (error: NsbError) => void): () => void {
    this.#lost.add(listener)
    return () => this.#lost.delete(listener)
  }

  /** Told whenever the broker begins to take no messages. */
  onBlocked(listener: () => void): void {
    this.#blocked.add(listener)
  }

  /** What is said of something that did not end because the connection was lost. */
  lostError(cause?: unknown): NsbError {
    return lostError(this.name, this.address, this.#reason ?? cause, this.#options.movesMessages)
  }

  /** @throws {NsbError} why it cannot be opened; NSB_TRANSPORT_CLOSED after {@link close} */
  async open(): Promise<ChannelModel> {
    if (this.#closed) throw this.#closedError()
    if (this.#model) return this.#model
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** @throws {NsbError} why the connection cannot be opened, or was lost meanwhile */
  createChannel(): Promise<Channel> {
    return this.#channelOf((model) => model.createChannel())
  }

  /** The same for publishing with confirms. */
  createConfirmChannel(): Promise<ConfirmChannel> {
    return this.#channelOf((model) => model.createConfirmChannel())
  }

  /** Closes a channel after everything that was sent on it; never rejects, and ends in any case. */
  async closeChannel(channel: Channel): Promise<void> {
    // The promise of `close` never settles when the connection ends before the broker has answered; the event always comes.
    const ended = new Promise<void>((resolve) => channel.once('close', resolve))
    const closing = Promise.race([channel.close(), ended]).catch(() => undefined)
    // A broker that takes no messages does not even read that a channel ends.
    if (this.blocked === undefined) await this.answer(closing, endsWithinMs)
  }

  /** A channel for one errand: what goes wrong on it closes it, and nothing else. */
  async withChannel<T>(use: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.createChannel()
    let failed: unknown
    channel.on('error', (error) => {
      failed = error
    })
    let ended = false
    channel.on('close', () => {
      ended = true
    })
    try {
      return await this.answer(use(channel))
    } catch (error) {
      // A reply says that the channel ended; the event says why.
      throw failed ?? (ended ? this.lostError(error) : error)
    } finally {
      if (!ended) await this.closeChannel(channel)
    }
  }

  /**
   * Waits for answers of the broker. When nothing at all comes for so long, not even between the answers, the connection is given up,
   * which ends whatever waits on it.
   */
  async answer<T>(request: Promise<T>, atMostMs = Number.POSITIVE_INFINITY): Promise<T> {
    const model = this.#model
    const withinMs = Math.min(atMostMs, this.#options.timeoutMs)
    const silent = heartbeatBytes * (1 + withinMs / (heartbeatSeconds * 500))
    let read = bytesRead(model)
    const timer = setInterval(() => {
      const now = bytesRead(model)
      if (now - read <= silent && this.blocked === undefined && this.#model === model)
        this.#socket?.abort(new Error(`it did not answer within ${withinMs} ms`))
      read = now
    }, withinMs)
    try {
      return await request
    } finally {
      clearInterval(timer)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const model = this.#model
    const socket = this.#socket
    if (!model) {
      socket?.abort(this.#closedError())
      await this.#opening?.catch(() => undefined)
      return
    }
    // As with channels, the promise of `close` does not settle when the connection is lost meanwhile.
    const ended = new Promise<void>((resolve) => model.once('close', resolve))
    model.close().catch(() => undefined)
    // A broker that takes no messages does not even read that a connection ends.
    const withinMs = this.blocked === undefined ? Math.min(endsWithinMs, this.#options.timeoutMs) : 0
    const timer = setTimeout(() => socket?.abort(new Error('it did not answer')), withinMs)
    await ended
    clearTimeout(timer)
  }

  async #channelOf<T extends Channel>(create: (model: ChannelModel) => Promise<T>): Promise<T> {
    const model = await this.open()
    try {
      const channel = await this.answer(create(model))
      // An error that nobody listens to would end the process.
      channel.on('error', () => undefined)
      // Its end is not announced to those who listen from now on.
      if (this.#model !== model) throw this.lostError()
      return channel
    } catch (error) {
      throw this.#model === model || error instanceof NsbError ? error : this.lostError(error)
    }
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
        if (this.#closed) throw this.#closedError()
        failures.push(connectError(error, this.#options.settings, host))
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
    if (this.#closed) throw this.#closedError()
    const socket = new AbortController()
    this.#socket = socket
    const ended = { signal: socket.signal }
    // amqplib's own limit begins anew with every byte that comes.
    const timer = setTimeout(() => socket.abort(new Error('connect ETIMEDOUT')), timeoutMs)
    try {
      const model = await connect(
        {
          protocol: tls ? 'amqps' : 'amqp',
          hostname: host.host,
          port: host.port,
          // It is unescaped again on the way.
          vhost: encodeURIComponent(settings.virtualHost),
          heartbeat: heartbeatSeconds,
          // As large as the broker takes them: what came in one can go back in one.
          frameMax: 0,
        },
        {
          // Without it small frames wait 40 ms for an acknowledgement.
          noDelay: true,
          keepAlive: true,
          ...ended,
          clientProperties: { connection_name: this.name, ...clientProperties(this.#options.endpoint) },
          credentials: tls?.externalAuth ? credentials.external() : plainLogin(settings),
          ...(tls && {
            rejectUnauthorized: tls.verify ?? true,
            ...(tls.ca === undefined ? {} : { ca: certificateOf(tls.ca) }),
            ...(tls.certificate === undefined ? {} : { cert: certificateOf(tls.certificate) }),
            ...(tls.key === undefined ? {} : { key: certificateOf(tls.key) }),
            ...(tls.pfx === undefined ? {} : { pfx: certificateOf(tls.pfx) }),
            ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
          }),
        },
      )
      this.#watch(model, socket)
      return model
    } catch (error) {
      throw socket.signal.aborted ? socket.signal.reason : error
    } finally {
      clearTimeout(timer)
    }
  }

  #watch(model: ChannelModel, socket: AbortController): void {
    const stream = socketOf(model)
    // Its end may have come with its beginning, before anybody listened.
    if (stream?.writableEnded) throw new Error('Unexpected close')
    this.#model = model
    this.#reason = undefined
    this.blocked = undefined
    writeOncePerTurn(model)
    readProperties(model)
    writeProperties(model)
    model.on('error', (error) => {
      this.#reason = socket.signal.aborted ? socket.signal.reason : error
    })
    model.on('close', (error) => {
      this.#model = undefined
      this.blocked = undefined
      this.#reason ??= error
      // amqplib only ends its half: a peer that is gone would keep the socket, and with it the process.
      setTimeout(() => socket.abort(), lingersMs).unref()
      if (this.#closed) return
      const lost = this.lostError()
      for (const listener of this.#lost) listener(lost)
    })
    model.on('blocked', (why) => {
      this.blocked = why
      this.#options.warn(`The broker takes no messages on '${this.name}' for now: ${why}. Sends wait until it does again.`)
      for (const listener of this.#blocked) listener()
    })
    model.on('unblocked', () => {
      this.blocked = undefined
      this.#options.warn(`The broker takes messages on '${this.name}' again.`)
    })
    // An error that a listener of ours throws would otherwise end the process.
    const { connection } = model
    if (connection instanceof EventEmitter)
      connection.on('handler-error', (error) => this.#options.warn(`An event of '${this.name}' could not be handled: ${errorText(error)}`))
  }

  #closedError(): NsbError {
    return new NsbError({
      code: 'NSB_TRANSPORT_CLOSED',
      message: `The connection '${this.name}' is not used any more: its transport was closed.`,
    })
  }
}

function bytesRead(model: ChannelModel | undefined): number {
  return (model && socketOf(model)?.bytesRead) ?? 0
}

/** Like amqplib's own, but without a readable password: it is among the options of the socket, which NODE_DEBUG prints. */
function plainLogin(settings: ConnectionSettings): { readonly mechanism: string; response(): Buffer } {
  return { mechanism: 'PLAIN', response: () => Buffer.from(['', settings.user, settings.revealPassword()].join('\0')) }
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
