import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { placeOrder, project, shop } from '../support/shop-project.ts'

const handler = (name: string, handles: string): string => `import { ${handles} } from '../messages/place-order.ts'
export class ${name} { static handles = ${handles}; handle() {} }
`
const events = `import { MessageInterface, event } from 'nsbus'
import { z } from 'zod'
export class IOrderEvent extends MessageInterface<{ OrderId: string }>('Shop.IOrderEvent') {}
export class OrderPlaced extends event('Shop.OrderPlaced', z.object({ OrderId: z.string() }), { implements: [IOrderEvent] }) {}
`

describe('nsb handlers', () => {
  it('U-14 warns when handlers share a message type, with both ways to split them', async () => {
    const folder = project({
      'src/messages/place-order.ts': placeOrder,
      'src/handlers/a.handler.ts': handler('TakeStock', 'PlaceOrder'),
      'src/handlers/b.handler.ts': handler('WriteInvoice', 'PlaceOrder'),
    })

    const { code, stderr } = await nsb(['handlers'], { cwd: folder })
    const { json } = await nsb(['handlers', '--json'], { cwd: folder })

    expect(code).toBe(0)
    expect(stderr).toContain('! Shop.PlaceOrder runs 2 handlers as one unit (TakeStock, WriteInvoice): when one fails, all run again.')
    expect(stderr).toMatch(/split at the destination: .*context\.sendLocal/)
    expect(stderr).toContain('split at the source: the sender sends one message type for each handler')
    expect(json()['shared']).toEqual([{ type: 'Shop.PlaceOrder', kind: 'command', handlers: ['TakeStock', 'WriteInvoice'] }])
  })

  it('U-14 sees a handler of the interface beside one of the event, and offers endpoints of their own', async () => {
    const folder = project({
      'src/messages/place-order.ts': events,
      'src/handlers/a.handler.ts': handler('Archive', 'IOrderEvent'),
      'src/handlers/b.handler.ts': handler('WriteInvoice', 'OrderPlaced'),
    })

    const { stderr } = await nsb(['handlers'], { cwd: folder })

    expect(stderr).toContain('Shop.OrderPlaced runs 2 handlers as one unit (Archive, WriteInvoice)')
    expect(stderr).toContain('host them in endpoints of their own')
  })

  it('U-14 says nothing where every type has one handler', async () => {
    const { json, stderr } = await nsb(['handlers', '--json'], { cwd: shop() })

    expect(stderr).toBe('')
    expect(json()['shared']).toEqual([])
  })
})
