import { learningTransport } from '../../src/transport/learning/transport.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { makeTempFolder } from '../support/temp-folder.ts'
import { bindContract, movableClock } from './bind.ts'

bindContract({
  name: 'learning',
  transactionModes: learningTransport({ storage: '.' }).transactionModes,
  unable: { hideHeld: 'a folder is read in place; a message is taken only when it is consumed' },
  async start() {
    const folder = makeTempFolder()
    const { clock, elapse } = movableClock()
    const opened: Transport[] = []
    return {
      async open() {
        const transport = learningTransport({ storage: folder.path, clock })
        opened.push(transport)
        return transport
      },
      unique: (name) => name,
      elapse,
      async end() {
        await Promise.all(opened.map((transport) => transport.close()))
        folder.remove()
      },
    }
  },
})
