import { MemoryNetwork, memoryTransport } from '../../src/transport/memory/transport.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { bindContract, movableClock } from './bind.ts'

bindContract({
  name: 'memory',
  transactionModes: memoryTransport().transactionModes,
  unable: {},
  async start() {
    const network = new MemoryNetwork()
    const { clock, elapse } = movableClock()
    const opened: Transport[] = []
    return {
      async open() {
        const transport = memoryTransport({ network, clock })
        opened.push(transport)
        return transport
      },
      unique: (name) => name,
      elapse,
      async end() {
        await Promise.all(opened.map((transport) => transport.close()))
      },
    }
  },
})
