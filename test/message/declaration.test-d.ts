import { describe, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { type MessageInstance, MessageInterface, type MessageType, command, event, message } from '../../src/message/declaration.ts'

const schema = z.object({ OrderId: z.string(), Quantity: z.coerce.number().default(1), Note: z.string().optional() })
class PlaceOrder extends command('Shop.PlaceOrder', schema) {}
class OrderPlaced extends event('Shop.OrderPlaced', schema) {}
class OrderAccepted extends message('Shop.OrderAccepted', schema) {}
const IOrderEvent = MessageInterface<{ OrderId: string }>('Shop.IOrderEvent')

type Sendable = MessageInstance<'command' | 'message'>
type Publishable = MessageInstance<'event' | 'message'>

describe('a message class', () => {
  test('has the members that come out of its schema', () => {
    expectTypeOf<PlaceOrder['OrderId']>().toEqualTypeOf<string>()
    expectTypeOf<PlaceOrder['Quantity']>().toEqualTypeOf<number>()
    expectTypeOf<PlaceOrder['Note']>().toEqualTypeOf<string | undefined>()
  })

  test('is constructed from what goes into its schema', () => {
    expectTypeOf<{ OrderId: string }>().toExtend<ConstructorParameters<typeof PlaceOrder>[0]>()
    expectTypeOf<{ OrderId: number }>().not.toExtend<ConstructorParameters<typeof PlaceOrder>[0]>()
    expectTypeOf<{ Quantity: number }>().not.toExtend<ConstructorParameters<typeof PlaceOrder>[0]>()
  })

  test('is a message type', () => {
    expectTypeOf<typeof PlaceOrder>().toExtend<MessageType>()
    expectTypeOf<typeof IOrderEvent>().toExtend<MessageType>()
    expectTypeOf<typeof Date>().not.toExtend<MessageType>()
  })
})

describe('where a command or a plain message is wanted', () => {
  test('those are taken', () => {
    expectTypeOf<PlaceOrder>().toExtend<Sendable>()
    expectTypeOf<OrderAccepted>().toExtend<Sendable>()
  })

  test('an event is refused', () => {
    expectTypeOf<OrderPlaced>().not.toExtend<Sendable>()
    expectTypeOf<InstanceType<typeof IOrderEvent>>().not.toExtend<Sendable>()
  })

  test('a plain object and a spread copy are refused', () => {
    const order = {} as PlaceOrder
    // oxlint-disable-next-line typescript/no-misused-spread -- the mistake that must not compile
    const copy = { ...order }
    expectTypeOf(copy).not.toExtend<Sendable>()
    expectTypeOf(copy).not.toExtend<PlaceOrder>()
    expectTypeOf<{ OrderId: string; Quantity: number }>().not.toExtend<PlaceOrder>()
  })
})

describe('where an event is wanted', () => {
  test('events and interfaces are taken, commands refused', () => {
    expectTypeOf<OrderPlaced>().toExtend<Publishable>()
    expectTypeOf<InstanceType<typeof IOrderEvent>>().toExtend<Publishable>()
    expectTypeOf<PlaceOrder>().not.toExtend<Publishable>()
  })
})
