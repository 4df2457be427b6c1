import { afterAll } from 'vitest'
import { rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import type { QueueType } from '../../../src/transport/rabbitmq/topology/topology.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { bindContract } from '../bind.ts'

/** The contract on one virtual host, with names of its own for each case. */
export function rabbitContract(topology: 'conventional' | 'direct', queueType: QueueType): void {
  let made: Promise<VirtualHost> | undefined
  afterAll(async () => (await made)?.remove())
  let worlds = 0
  bindContract({
    name: `rabbitmq, ${topology}, ${queueType}`,
    transactionModes: ['receiveOnly'],
    unable: {
      elapse: 'the time of a broker cannot be moved',
      uncountedLooks: 'to look at a message is to be delivered it',
      ownNativeIds: 'a copy has the id of its message, as endpoints send it',
    },
    async start() {
      const host = await (made ??= makeVirtualHost())
      const number = ++worlds
      const opened: Transport[] = []
      return {
        async open() {
          const transport = rabbitTransport({
            settings: host.settings,
            management: host.management,
            topology,
            queueType,
            warn: () => undefined,
          })
          opened.push(transport)
          return transport
        },
        unique: (name) => `${name}.${number}`,
        elapse: undefined,
        async end() {
          await Promise.all(opened.map((transport) => transport.close()))
        },
      }
    },
  })
}
