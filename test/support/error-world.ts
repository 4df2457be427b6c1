import { onTestFinished } from 'vitest'
import { type BrokerShop, brokerShop } from './broker-shop.ts'
import { ErrorQueue, type ErrorQueueOptions } from './error-queue.ts'
import { type VirtualHost, makeVirtualHost } from './virtual-host.ts'

/** A shop on a virtual host of its own, with an error queue and the queue that its messages failed in. */
export interface ErrorWorld {
  readonly host: VirtualHost
  readonly shop: BrokerShop
  readonly errors: ErrorQueue
  readonly sales: ErrorQueue
}

/** Gone when the test is over. */
export async function makeErrorWorld(options: ErrorQueueOptions = { kind: 'quorum', deliveryLimit: 20 }): Promise<ErrorWorld> {
  const host = await makeVirtualHost()
  onTestFinished(() => host.remove())
  const errors = await ErrorQueue.make(host, 'error', options)
  const sales = await ErrorQueue.make(host, 'Sales', { kind: 'quorum' })
  return { host, errors, sales, shop: brokerShop(host) }
}
