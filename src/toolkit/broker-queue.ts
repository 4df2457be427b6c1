import type { QueueFacts } from '../transport/transport.ts'

/** To read a message of it is to be delivered it, and its consumers are those of this moment. */
export function isBrokerQueue({ kind }: QueueFacts): boolean {
  return kind === 'classic' || kind === 'quorum' || kind === 'stream'
}
