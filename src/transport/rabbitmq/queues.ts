import type { Clock } from '../clock.ts'
import { QueueNotFoundError } from '../queue-not-found.ts'
import type { QueueFacts } from '../transport.ts'
import { channelError, endedChannelError, replyCode } from './broker-error.ts'
import { countsGiveBacks, versionOf } from './broker-version.ts'
import type { BrokerConnection } from './connection.ts'
import { type Counts, askCounts } from './counts.ts'
import { isInfrastructure } from './delay.ts'
import type { Management } from './management.ts'
import { readPolicies } from './policies.ts'
import { type LookLimits, limitsIn, limitsOf, looksLeftOf } from './queue-limits.ts'
import { isQueueLock } from './queue-lock.ts'
import { isQueueName } from './queue-name.ts'

/** How often, and how often at most, it is looked whether a consumer goes that is counted. */
const gonePollMs = 100
const goneRounds = 10
/** What {@link limitsIn} reads is among them. */
const listedColumns = 'name,type,messages_ready,consumers,arguments,policy,operator_policy,effective_policy_definition,delivery_limit'

export interface QueuesOptions {
  readonly administration: BrokerConnection
  readonly management: Management
  readonly clock: Clock
  /** For people. Without credentials. */
  readonly broker: string
}

/** What a broker says of its queues. Nothing is taken from them. */
export class Queues {
  readonly #options: QueuesOptions

  constructor(options: QueuesOptions) {
    this.#options = options
  }

  /** Those of others and of endpoints, by their names. @throws {NsbError} NSB_MANAGEMENT_UNREACHABLE, NSB_MANAGEMENT_ELSEWHERE: AMQP itself lists nothing */
  async list(prefix = ''): Promise<readonly QueueFacts[]> {
    const { administration, management } = this.#options
    // A broker that cannot be reached is named as such, not its management API.
    await administration.open()
    const [listed, policies, version] = await Promise.all([
      management.get(`queues/{vhost}?columns=${listedColumns}`),
      readPolicies(management),
      versionOf(administration),
    ])
    const queues = queuesIn(listed)
      .filter(({ name }) => name.startsWith(prefix))
      .map((told) => {
        const limits = { ...limitsIn(told, policies, version.major), giveBacksCount: countsGiveBacks(version) }
        const { consumers, messages_ready: depth, name } = told
        return { queue: name, depth: Number(depth ?? 0), consumers: Number(consumers ?? 0), ...factsOf(limits) }
      })
      .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
    // Its figures are some seconds old; the queues themselves know better, and one that the broker does not have is not there.
    const found = await Promise.all(
      queues.map((facts) =>
        this.counts(facts.queue).then(
          (counts) => counts && { ...facts, ...counts },
          () => facts,
        ),
      ),
    )
    return found.filter((facts) => facts !== undefined)
  }

  /** undefined: no such queue */
  async facts(queue: string): Promise<QueueFacts | undefined> {
    const counts = await this.counts(queue)
    if (!counts) return undefined
    return { queue, ...counts, ...factsOf(await this.limits(queue)) }
  }

  /** What it is, and how often it gives a message out. */
  limits(queue: string): ReturnType<typeof limitsOf> {
    return limitsOf(this.#options.administration, this.#options.management, queue)
  }

  /** undefined: no such queue */
  async counts(queue: string): Promise<Counts | undefined> {
    // It may come from a header of a message.
    if (!isQueueName(queue)) return undefined
    try {
      const { administration } = this.#options
      return await administration.withChannel((channel) => askCounts(channel, queue, administration))
    } catch (error) {
      if (replyCode(error) === 404) return undefined
      throw channelError(error, `look at queue '${queue}'`)
    }
  }

  /**
   * Whether there is nothing in a queue that says so. Of a quorum queue without a leader, which its nodes are about to elect, the broker says
   * so too; what has to take a message asks the leader. It costs one of the looks of a message that is there all the same.
   */
  async isEmpty(queue: string): Promise<boolean> {
    const { administration } = this.#options
    try {
      return await administration.withChannel(async (channel) => {
        const message = await channel.get(queue)
        if (message === false) return true
        channel.nack(message, false, true)
        return false
      })
    } catch (error) {
      // Who may not read may not look either. Of a queue with a single active consumer nobody else takes anything.
      if (replyCode(error) === 403 || replyCode(error) === 405) return true
      throw endedChannelError(error, `look at queue '${queue}'`)
    }
  }

  /** The same, when it no longer counts consumers whose connection or broker has just died. */
  async countsWithoutGone(queue: string): Promise<Counts | undefined> {
    for (let round = 1; ; round++) {
      const counts = await this.counts(queue)
      if (!counts || counts.consumers === 0 || round > goneRounds) return counts
      await new Promise<void>((resolve) => this.#options.clock.after(gonePollMs, resolve))
    }
  }

  /** With the names that are like it, as far as the broker lists any. */
  async notFound(queue: string): Promise<QueueNotFoundError> {
    const listed = queuesIn(await this.#options.management.tryGet('queues/{vhost}?columns=name'))
    return new QueueNotFoundError(queue, listed.map(({ name }) => name).toSorted(), `on ${this.#options.broker}`)
  }
}

type ToldQueue = Readonly<Record<string, unknown>> & { readonly name: string }

/** Those of others and of endpoints, in an answer of the management API. */
function queuesIn(listed: unknown): readonly ToldQueue[] {
  const told = Array.isArray(listed) ? (listed as readonly Readonly<Record<string, unknown>>[]) : []
  return told.filter((each): each is ToldQueue => {
    const { name } = each
    return typeof name === 'string' && !isInfrastructure(name) && !isQueueLock(name)
  })
}

export function factsOf(limits: LookLimits): Pick<QueueFacts, 'deliveryLimit' | 'kind' | 'looksLeft'> {
  return { kind: limits.kind, deliveryLimit: limits.limit, looksLeft: looksLeftOf(limits) }
}
