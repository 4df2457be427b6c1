import { randomBytes } from 'node:crypto'
import { availableParallelism, userInfo } from 'node:os'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import { guarded, guardedOptions } from '../guarded.ts'
import type {
  Decide,
  EventType,
  HoldOptions,
  Holding,
  IncomingMessage,
  OutgoingMessage,
  QueueBounds,
  QueueFacts,
  ReceiveOptions,
  Receiving,
  Subscriber,
  TapEvents,
  TemporaryQueue,
  Transport,
} from '../transport.ts'
import { channelError, replyCode } from './broker-error.ts'
import { BrokerConnection } from './connection.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { declareDelayInfrastructure } from './delay.ts'
import { checkDeliveryLimit } from './delivery-limit.ts'
import { ExhaustedQueues } from './exhausted-queues.ts'
import { RabbitHolding } from './holding.ts'
import { looksExhausted } from './looks-left.ts'
import { Management } from './management.ts'
import type { CustomizeMessage } from './outgoing.ts'
import { Publisher } from './publisher.ts'
import type { HeldLimits } from './queue-limits.ts'
import { type QueueLock, comesBackWithinMs, lockQueue, waitForLock } from './queue-lock.ts'
import { checkQueueName, isQueueName } from './queue-name.ts'
import { Queues, factsOf } from './queues.ts'
import { RabbitReceiver } from './receiver.ts'
import { identityOf } from './same-broker.ts'
import type { ManagementSettings } from './settings.ts'
import { BrokerTap } from './tap.ts'
import { conventionalTopology } from './topology/conventional.ts'
import { directTopology } from './topology/direct.ts'
import { type QueueType, type Topology, declareQueue } from './topology/topology.ts'

export interface RabbitOptions {
  readonly settings: ConnectionSettings
  /** Whom the connections belong to, as the broker's pages show it; default: `nsb`. */
  readonly endpoint?: string
  /** How endpoints reach each other; the same for all of a system. Default: conventional. */
  readonly topology?: 'conventional' | 'direct'
  /** Of the queues that are created; default: quorum. */
  readonly queueType?: QueueType
  /** Whether exchanges and classic queues survive a restart of the broker; default: true. */
  readonly durable?: boolean
  /** Direct topology: the topic exchange of all events; default: `amq.topic`. */
  readonly eventExchange?: string
  readonly management?: ManagementSettings
  /** Where what the next process has to know is kept, and messages that cannot stay whole on the broker; default: nowhere. */
  readonly stateFolder?: string
  /** Bounds connecting to one host; default: 30 s. */
  readonly timeoutMs?: number
  /** After this time without a confirm a message counts as failed; default: the connection decides. */
  readonly confirmTimeoutMs?: number
  /** Waits before a lost connection is opened again; the last one repeats. */
  readonly recoveryDelaysMs?: readonly number[]
  /** After so long without a connection a receiver reports a critical error; default: 2 minutes. */
  readonly circuitBreakerMs?: number
  /** Changes the AMQP properties of each message last. */
  readonly customize?: CustomizeMessage
  readonly clock?: Clock
  readonly warn?: (warning: string) => void
  /** Once it is aborted, no message waits for a broker that takes none. */
  readonly interrupted?: AbortSignal
  /** Told of a queue where nobody knows whether everything is back that a holding had of it; it is a warning as well. */
  readonly notGivenBack?: (queue: string) => void
}

/** Soon after a short interruption, then at the interval of the .NET transport. */
const recoveryDelaysMs = [500, 2000, 5000, 10_000]
const circuitBreakerMs = 120_000
const timeoutMs = 30_000
const managementTimeoutMs = 5000
/** Queues of a RabbitMQ broker, in the topologies and on the wire of the NServiceBus RabbitMQ transport. */
export function rabbitTransport(options: RabbitOptions): Transport {
  return new RabbitTransport(options)
}

class RabbitTransport implements Transport {
  readonly transactionModes = ['receiveOnly'] as const
  readonly defaultConcurrency = Math.max(2, availableParallelism())
  readonly can: Transport['can']
  readonly #options: RabbitOptions
  readonly #topology: Topology
  readonly #clock: Clock
  readonly #warn: (warning: string) => void
  readonly #endpoint: string
  readonly #administration: BrokerConnection
  readonly #publishing: BrokerConnection
  readonly #publisher: Publisher
  readonly #receivers = new Set<Receiving>()
  readonly #management: Management
  readonly #queues: Queues
  readonly #holdings = new Set<Holding>()
  readonly #taps = new Set<BrokerTap>()
  readonly #exhausted: ExhaustedQueues
  /** Queues that were made for messages that may be lost. */
  readonly #mayLose = new Set<string>()
  /** What was said of delivery limits, which concerns several queues. */
  readonly #warned = new Set<string>()
  #delays = false
  #closed = false

  constructor(options: RabbitOptions) {
    this.#options = options
    this.#endpoint = options.endpoint ?? 'nsb'
    this.#clock = options.clock ?? systemClock
    this.#warn = guarded(options.warn ?? ((warning): void => process.emitWarning(warning, 'NsbWarning')))
    const common = { queueType: options.queueType ?? 'quorum', durable: options.durable ?? true }
    this.#topology =
      options.topology === 'direct'
        ? directTopology({ ...common, ...(options.eventExchange === undefined ? {} : { exchange: options.eventExchange }) })
        : conventionalTopology(common)
    this.can = { tap: this.#topology.hasAddressExchanges, lookWithoutTrace: false, newestFirst: false }
    this.#exhausted = new ExhaustedQueues(options.stateFolder, options.settings.toString(), this.#clock)
    this.#administration = this.#connection(`${this.#endpoint} Administration`)
    this.#management = new Management(options.settings, options.management ?? {}, managementTimeoutMs, () =>
      identityOf(this.#administration),
    )
    this.#queues = new Queues({
      administration: this.#administration,
      management: this.#management,
      clock: this.#clock,
      broker: options.settings.toString(),
    })
    this.#publishing = this.#connection(`${this.#endpoint} Publish`, true)
    this.#publisher = new Publisher({
      connection: this.#publishing,
      settings: options.settings,
      topology: this.#topology,
      clock: this.#clock,
      customize: options.customize,
      confirmTimeoutMs: options.confirmTimeoutMs,
      interrupted: options.interrupted,
      warn: this.#warn,
    })
  }

  async createQueues(receiving: readonly string[], sending: readonly string[] = []): Promise<void> {
    if (receiving.length + sending.length === 0) return
    for (const address of [...receiving, ...sending]) checkQueueName(address, 'a queue')
    await this.#administer('create the queues', async (channel) => {
      if (receiving.length > 0 && !this.#delays) {
        await declareDelayInfrastructure(channel)
        this.#delays = true
      }
      for (const address of receiving) {
        await this.#topology.createQueue(channel, address)
        await this.#topology.bindForDelay(channel, address)
      }
      for (const address of sending) await this.#topology.createQueue(channel, address)
    })
  }

  dispatch(outgoing: readonly OutgoingMessage[]): Promise<void> {
    return this.#publisher.dispatch(outgoing)
  }

  async receive(options: ReceiveOptions, decide: Decide): Promise<Receiving> {
    const connection = this.#connection(`${options.queue} MessagePump`, true)
    const queueCounts = this.#options.queueType !== 'classic' && !this.#mayLose.has(options.queue)
    const starting = RabbitReceiver.start(
      {
        connection,
        publisher: this.#publisher,
        topology: this.#topology,
        clock: this.#clock,
        endpoint: this.#endpoint,
        queueCounts,
        warn: this.#warn,
        recoveryDelaysMs: this.#options.recoveryDelaysMs ?? recoveryDelaysMs,
        circuitBreakerMs: this.#options.circuitBreakerMs ?? circuitBreakerMs,
        ended: () => this.#receivers.delete(receiver),
      },
      guardedOptions(options),
      decide,
    )
    // Beside the start, which it neither delays nor fails.
    if (queueCounts) void this.#checkDeliveryLimit(options.queue, connection)
    const receiver = await starting
    this.#receivers.add(receiver)
    // Closed while it was being started.
    if (this.#closed) await receiver.stop()
    return receiver
  }

  #checkDeliveryLimit(queue: string, connection: BrokerConnection): Promise<void> {
    const warn = (warning: string): void => {
      if (this.#closed || this.#warned.has(warning)) return
      this.#warned.add(warning)
      this.#warn(warning)
    }
    return checkDeliveryLimit({ connection, management: this.#management, queue, warn })
  }

  async subscribe({ queue }: Subscriber, event: EventType): Promise<void> {
    await this.#administer(`subscribe '${queue}' to '${event.fullName}'`, (channel) => this.#topology.subscribe(channel, queue, event))
  }

  async unsubscribe({ queue }: Subscriber, event: EventType): Promise<void> {
    await this.#administer(`unsubscribe '${queue}' from '${event.fullName}'`, (channel) =>
      this.#topology.unsubscribe(channel, queue, event),
    )
  }

  /** @throws {NsbError} NSB_MANAGEMENT_UNREACHABLE, NSB_MANAGEMENT_ELSEWHERE: AMQP itself lists nothing */
  queues(prefix?: string): Promise<readonly QueueFacts[]> {
    return this.#queues.list(prefix)
  }

  inspect(queue: string): Promise<QueueFacts | undefined> {
    return this.#queues.facts(queue)
  }

  async hold(queue: string, options: HoldOptions): Promise<Holding> {
    // Asked for at the same time: each answer takes some milliseconds.
    const limiting = this.#queues.limits(queue)
    limiting.catch(() => undefined)
    const connection = this.#connection(`${queue} Browse`, options.purpose === 'change')
    try {
      const lock = options.overrule.includes('NSB_QUEUE_LOCKED') ? undefined : await this.#lock(queue, connection, options)
      const others = (consumers: number): string => `${consumers} consumer(s) take messages from queue '${queue}'`
      // Asked for when nobody else has messages in hand any more, which would not be counted.
      let counts = await (lock?.hasWaited === true ? this.#queues.countsWithoutGone(queue) : this.#queues.counts(queue))
      if (counts && counts.consumers > 0 && options.purpose === 'change' && !options.overrule.includes('NSB_QUEUE_HAS_CONSUMER')) {
        counts = await this.#queues.countsWithoutGone(queue)
        if (counts && counts.consumers > 0)
          throw new NsbError({
            code: 'NSB_QUEUE_HAS_CONSUMER',
            message: `Queue '${queue}' is not changed: ${others(counts.consumers)}, ServiceControl perhaps.`,
            suggestions: ['Stop them, or use --force'],
          })
      }
      // Whoever has just died may have held all there is.
      if (counts && counts.depth === 0 && counts.consumers > 0) counts = await this.#queues.countsWithoutGone(queue)
      if (!counts) throw await this.#queues.notFound(queue)
      if (counts.consumers > 0) this.#warn(`${others(counts.consumers)}: what they take is not shown.`)
      const { kind, ...rest } = await limiting
      if (kind === 'stream') throw isStream(queue)
      const limits: HeldLimits = { kind, ...rest }
      const isCertain = counts.depth + counts.consumers > 0 || kind === 'classic' || (await this.#queues.isEmpty(queue))
      if (!isCertain) counts = (await this.#queues.counts(queue)) ?? counts
      if (counts.depth > 0 && !options.overrule.includes('NSB_LOOKS_EXHAUSTED') && (await this.#exhausted.has(queue, limits.limit)))
        throw looksExhausted(queue, limits, undefined)
      await this.#exhausted.delete(queue)
      this.#warnOf(lock?.problem)
      const holding: RabbitHolding = await RabbitHolding.open({
        connection,
        publisher: this.#publisher,
        clock: this.#clock,
        facts: { queue, ...counts, ...factsOf(limits) },
        limits,
        hold: options,
        broker: this.#options.settings.toString().replace(/\/\/[^@/]*@/, '//'),
        stateFolder: this.#options.stateFolder,
        warn: this.#warn,
        exhausted: () => this.#exhausted.add(queue, limits.limit),
        notGivenBack: () => this.#options.notGivenBack?.(queue),
        ended: async () => {
          this.#holdings.delete(holding)
          await connection.close()
        },
      })
      this.#holdings.add(holding)
      return holding
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  async #lock(queue: string, connection: BrokerConnection, { signal, waits }: HoldOptions): Promise<QueueLock> {
    try {
      return await waitForLock({
        connection,
        management: this.#management,
        queue,
        clock: this.#clock,
        timeoutMs: waits === false ? 0 : (this.#options.timeoutMs ?? timeoutMs),
        signal,
        warn: this.#warn,
      })
    } catch (error) {
      // A lock says nothing of the queue: another nsb may be looking for one that is not there.
      const isLocked = error instanceof NsbError && error.code === 'NSB_QUEUE_LOCKED'
      if (isLocked && (await this.#queues.counts(queue)) === undefined) throw await this.#queues.notFound(queue)
      throw error
    }
  }

  #warnOf(problem: string | undefined): void {
    if (problem !== undefined) this.#warn(problem)
  }

  async tap(queue: string, seen: (message: IncomingMessage) => void, events?: TapEvents): Promise<{ stop(): Promise<void> }> {
    if (!this.can.tap)
      throw new NsbError({
        code: 'NSB_NO_TAP',
        message: `Queue '${queue}' cannot be watched: in the direct topology messages reach it without an exchange of its own.`,
      })
    if (!isQueueName(queue)) throw await this.#queues.notFound(queue)
    const tap = await BrokerTap.start(
      {
        connection: this.#connection(`${queue} Tap`),
        exchange: this.#topology.routeTo(queue).exchange,
        queue,
        clock: this.#clock,
        warn: this.#warn,
        events,
        recoveryDelaysMs: this.#options.recoveryDelaysMs ?? recoveryDelaysMs,
      },
      seen,
    )
    this.#taps.add(tap)
    return {
      stop: async () => {
        this.#taps.delete(tap)
        await tap.stop()
      },
    }
  }

  async createBoundedQueue(queue: string, bounds: QueueBounds): Promise<void> {
    this.#mayLose.add(queue)
    try {
      await this.#administration.withChannel((channel) => this.#topology.createQueue(channel, queue, bounds))
    } catch (error) {
      // Somebody made it with other bounds, or may not make any: what is there will do.
      const isThere = replyCode(error) === 406 || replyCode(error) === 403 ? await this.#queues.counts(queue) : undefined
      if (isThere === undefined) throw channelError(error, `create queue '${queue}'`)
    }
  }

  async createQueueLike(queue: string, like: string): Promise<void> {
    const { kind } = await this.#queues.limits(like)
    try {
      await this.#administration.withChannel((channel) =>
        declareQueue(channel, queue, { queueType: kind === 'quorum' ? 'quorum' : 'classic', durable: true }),
      )
    } catch (error) {
      // Somebody made it in another way: it will do.
      if (replyCode(error) !== 406) throw channelError(error, `create queue '${queue}'`)
    }
  }

  /** A quorum queue cannot be removed on the condition that it is empty, so nobody else may have it in hand meanwhile. */
  async removeIfEmpty(queue: string): Promise<boolean> {
    const connection = this.#connection(`${queue} Removal`)
    try {
      this.#warnOf(await lockQueue({ connection, management: this.#management, queue }))
      if ((await this.#queues.counts(queue)) === undefined) return true
      // What a connection that has just died had in hand comes back a moment later than its lock goes.
      await this.#pause(comesBackWithinMs)
      const counts = await this.#queues.counts(queue)
      if (counts === undefined) return true
      if (counts.depth > 0 || counts.consumers > 0 || !(await this.#queues.isEmpty(queue))) return false
      await this.#administer(`remove queue '${queue}'`, (channel) => channel.deleteQueue(queue))
      return true
    } catch (error) {
      if (error instanceof NsbError && error.code === 'NSB_QUEUE_LOCKED') return false
      throw error
    } finally {
      await connection.close()
    }
  }

  async temporaryQueue(prefix: string, expiresAfterMs: number): Promise<TemporaryQueue> {
    const address = `${prefix}.${ownName()}${randomBytes(8).toString('hex')}`
    this.#mayLose.add(address)
    await this.#administer(`create queue '${address}'`, (channel) => this.#topology.createQueue(channel, address, { expiresAfterMs }))
    return {
      address,
      goesByItself: true,
      remove: () => this.#administer(`remove queue '${address}'`, (channel) => this.#topology.removeQueue(channel, address)),
    }
  }

  async purge(queue: string): Promise<number> {
    if (!isQueueName(queue)) throw await this.#queues.notFound(queue)
    try {
      return (await this.#administration.withChannel((channel) => channel.purgeQueue(queue))).messageCount
    } catch (error) {
      if (replyCode(error) === 404) throw await this.#queues.notFound(queue)
      throw channelError(error, `purge queue '${queue}'`)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#management.close()
    await Promise.all([...this.#holdings].map((holding) => holding.giveBack()))
    await Promise.all([...this.#taps].map((tap) => tap.stop()))
    await Promise.all([...this.#receivers].map((receiver) => receiver.stop()))
    await this.#publisher.close()
    await Promise.all([this.#publishing.close(), this.#administration.close()])
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve))
  }

  #connection(name: string, movesMessages = false): BrokerConnection {
    const { settings } = this.#options
    return new BrokerConnection({
      settings,
      name,
      endpoint: this.#endpoint,
      movesMessages,
      timeoutMs: this.#options.timeoutMs ?? timeoutMs,
      warn: this.#warn,
    })
  }

  async #administer(what: string, act: Parameters<BrokerConnection['withChannel']>[0]): Promise<void> {
    try {
      await this.#administration.withChannel(act)
    } catch (error) {
      const named = channelError(error, what)
      if (named !== error || error instanceof NsbError) throw named
      throw new NsbError({ code: 'NSB_BROKER_REFUSED', message: `The broker refused to ${what}: ${errorText(error)}`, cause: error })
    }
  }
}

/** What is consumed of a stream stays in it. */
function isStream(queue: string): NsbError {
  return new NsbError({
    code: 'NSB_STREAM_QUEUE',
    message: `'${queue}' is a stream: messages cannot be taken out of it, nor given back.`,
    suggestions: ['Name a classic or quorum queue: nsb queues list'],
    details: { queue },
  })
}

/** Who makes a queue, for the people who see it on the broker; nothing where the system knows no name. */
function ownName(): string {
  try {
    const name = userInfo()
      .username.replaceAll(/[^\w-]/g, '')
      .slice(0, 40)
    return name === '' ? '' : `${name}.`
  } catch {
    return ''
  }
}
