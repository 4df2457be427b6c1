import { createHash } from 'node:crypto'
import { NsbError } from '../../message/nsb-error.ts'
import { replyCode } from './broker-error.ts'
import type { BrokerConnection } from './connection.ts'
import type { Management } from './management.ts'
import { record } from './policies.ts'

const prefix = 'nsb.lock.'
const longestName = 255

/** Whether a queue is a lock, and nobody's messages. */
export const isQueueLock = (queue: string): boolean => queue.startsWith(prefix)

/**
 * Keeps other nsb from a queue: two operators would see disjoint halves of it. The lock goes with the connection, however it ends.
 *
 * @returns why there is none where the user may make none
 * @throws {NsbError} NSB_QUEUE_LOCKED
 */
export async function lockQueue(connection: BrokerConnection, management: Management, queue: string): Promise<string | undefined> {
  const name = `${prefix}${queue}`
  const lock = Buffer.byteLength(name) <= longestName ? name : `${prefix}${createHash('sha256').update(queue).digest('hex')}`
  try {
    await connection.withChannel((channel) => channel.assertQueue(lock, { exclusive: true, autoDelete: true, durable: false }))
  } catch (error) {
    if (replyCode(error) === 405) {
      const owner = await ownerOf(management, lock)
      throw new NsbError({
        code: 'NSB_QUEUE_LOCKED',
        message: `Queue '${queue}' is not read: another nsb has it in hand${owner === undefined ? '' : `, ${owner}`}.`,
        suggestions: ['Wait until it is done', 'Or work beside it, and see only what it leaves: --force'],
      })
    }
    if (replyCode(error) !== 403) throw error
    return `The queue '${lock}' may not be declared, so nobody is kept from reading '${queue}' at the same time.`
  }
  return undefined
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
