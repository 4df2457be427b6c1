import { createHash } from 'node:crypto'
import { NsbError } from '../../message/nsb-error.ts'
import type { Clock } from '../clock.ts'
import { replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { Management } from './management.ts'
import { record } from './policies.ts'

const prefix = 'nsb.lock.'
const longestName = 255

/** Whether a queue is a lock, and nobody's messages. */
export const isQueueLock = (queue: string): boolean => queue.startsWith(prefix)

/** How often it is looked whether a lock has gone. */
const pollMs = 200
/** What a connection that has just died had in hand comes back a moment later than its lock goes. */
export const comesBackWithinMs = 500

export interface LockOptions {
  readonly connection: BrokerConnection
  readonly management: Management
  readonly queue: string
}

/** A lock that was taken. */
export interface QueueLock {
  /** Somebody else had it until a moment ago, so what was known of the queue before does not hold. */
  readonly hasWaited: boolean
  /** Why there is none where the user may make none. */
  readonly problem: string | undefined
}

/**
 * Keeps other nsb from a queue: two operators would see disjoint halves of it. The lock goes with the connection, however it ends.
 *
 * @returns why there is none where the user may make none
 * @throws {NsbError} NSB_QUEUE_LOCKED
 */
export async function lockQueue(options: LockOptions): Promise<string | undefined> {
  const taken = await tryLock(options)
  if (taken === 'locked') throw await lockedError(options)
  return taken.problem
}

/**
 * The same, but where another nsb has the queue in hand it waits until that one is done, and says so.
 *
 * @param options.timeoutMs at most so long
 * @param options.signal aborted: it does not wait any more
 * @throws {NsbError} NSB_QUEUE_LOCKED, and the reason of the signal
 */
export async function waitForLock(
  options: LockOptions & {
    readonly clock: Clock
    readonly timeoutMs: number
    readonly signal: AbortSignal
    readonly warn: (warning: string) => void
  },
): Promise<QueueLock> {
  const { clock, queue, signal, timeoutMs, warn } = options
  const until = clock.now() + timeoutMs
  let hasWaited = false
  for (;;) {
    const taken = await tryLock(options)
    if (taken !== 'locked') {
      if (hasWaited) await pause(clock, comesBackWithinMs, signal)
      return { ...taken, hasWaited }
    }
    // Whoever comes with an aborted signal only wants to know.
    if (clock.now() >= until || (signal.aborted && !hasWaited)) throw await lockedError(options)
    if (!hasWaited) warn(`Queue '${queue}' is waited for, ${inWords(timeoutMs)} at most: ${await whoHas(options)}.`)
    hasWaited = true
    await pause(clock, Math.min(pollMs, Math.max(1, until - clock.now())), signal)
    signal.throwIfAborted()
  }
}

function lockName(queue: string): string {
  const name = `${prefix}${queue}`
  return Buffer.byteLength(name) <= longestName ? name : `${prefix}${createHash('sha256').update(queue).digest('hex')}`
}

async function tryLock({ connection, queue }: LockOptions): Promise<Pick<QueueLock, 'problem'> | 'locked'> {
  const lock = lockName(queue)
  try {
    await connection.withChannel((channel) => channel.assertQueue(lock, { exclusive: true, autoDelete: true, durable: false }))
    return { problem: undefined }
  } catch (error) {
    if (replyCode(error) === 405) return 'locked'
    if (replyCode(error) !== 403) throw error
    return { problem: `The queue '${lock}' may not be declared, so nobody is kept from reading '${queue}' at the same time.` }
  }
}

async function lockedError(options: LockOptions): Promise<NsbError> {
  return new NsbError({
    code: 'NSB_QUEUE_LOCKED',
    message: `Queue '${options.queue}' is not read: ${await whoHas(options)}.`,
    suggestions: ['Wait until it is done, longer if need be: --timeout 5m', 'Or work beside it, and see only what it leaves: --force'],
  })
}

async function whoHas({ management, queue }: LockOptions): Promise<string> {
  const owner = await ownerOf(management, lockName(queue))
  return `another nsb has it in hand${owner === undefined ? '' : `, ${owner}`}`
}

const inWords = (ms: number): string => (ms < 1000 ? `${ms} ms` : `${Math.round(ms / 1000)} s`)

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal.addEventListener('abort', done)
  })
}

/** Whose exclusive queue it is: `sales on web-1 ('error Browse', 10.0.0.7:50046 -> 10.0.0.1:5672)`; undefined: nobody tells. */
async function ownerOf(management: Management, exclusive: string): Promise<string | undefined> {
  const told = record(await management.tryGet(`queues/{vhost}/${encodeURIComponent(exclusive)}`))
  const address = record(told?.['owner_pid_details'])?.['name']
  if (typeof address !== 'string') return undefined
  const client = record(await management.tryGet(`connections/${encodeURIComponent(address)}`))
  const { connection_name: name, machine_name: machine, user } = record(client?.['client_properties']) ?? {}
  const who = [user, machine].filter((text) => typeof text === 'string' && text !== '').join(' on ')
  const connection = typeof name === 'string' ? `'${name}', ${address}` : address
  return who === '' ? connection : `${who} (${connection})`
}
