import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  MessageInterface,
  type MessageType,
  command,
  definitionOf,
  definitionOfInstance,
  event,
  instantiate,
  isAssignable,
  message,
  messageSymbol,
  validate,
} from '../../src/message/declaration.ts'
import { eventTypeOf } from '../../src/message/event-type.ts'
import type { StandardSchema } from '../../src/message/standard-schema.ts'

const inShop = { assembly: 'Shop.Messages' }
const qualified = (name: string): string => `Shop.Messages.${name}, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null`
const withId = z.object({ OrderId: z.string() })

const IOrderEvent = MessageInterface<{ OrderId: string }>('Shop.Messages.IOrderEvent', inShop)
const IOrderCancelled = MessageInterface<{ OrderId: string; Reason: string }>('Shop.Messages.IOrderCancelled', {
  ...inShop,
  implements: [IOrderEvent],
})
class OrderPlaced extends event('Shop.Messages.OrderPlaced', withId, { ...inShop, implements: [IOrderEvent] }) {}
class PriorityOrderPlaced extends event('Shop.Messages.PriorityOrderPlaced', withId, { ...inShop, implements: [OrderPlaced] }) {}
class PlaceOrder extends command('Shop.Messages.PlaceOrder', withId) {}

describe('the type header of a declared message', () => {
  it('has the names in the order that .NET wrote', () => {
    assert.equal(
      PriorityOrderPlaced[messageSymbol].enclosedTypes,
      ['PriorityOrderPlaced', 'IOrderEvent', 'OrderPlaced'].map(qualified).join(';'),
    )
    assert.equal(IOrderCancelled[messageSymbol].enclosedTypes, ['IOrderCancelled', 'IOrderEvent'].map(qualified).join(';'))
    assert.equal(OrderPlaced[messageSymbol].enclosedTypes, ['OrderPlaced', 'IOrderEvent'].map(qualified).join(';'))
  })

  it('has the assembly qualified name, or without assembly the full name alone', () => {
    class Shipped extends event('Shop.Shipped', withId, { assembly: 'Shop', version: '2.1.0.0' }) {}

    assert.equal(Shipped[messageSymbol].enclosedTypes, 'Shop.Shipped, Shop, Version=2.1.0.0, Culture=neutral, PublicKeyToken=null')
    assert.equal(Shipped[messageSymbol].fullName, 'Shop.Shipped')
    assert.equal(PlaceOrder[messageSymbol].enclosedTypes, 'Shop.Messages.PlaceOrder')
  })

  it('names a parent once that is reached twice', () => {
    class Both extends event('Shop.Both', withId, { implements: [OrderPlaced, IOrderEvent, IOrderCancelled] }) {}

    const names = Both[messageSymbol].parents.map((parent) => parent.fullName.replace('Shop.Messages.', ''))

    assert.deepEqual(names, ['IOrderCancelled', 'IOrderEvent', 'OrderPlaced'])
  })
})

describe('a message class', () => {
  it('is known by its definition, also when it was subclassed', () => {
    class Urgent extends PlaceOrder {}

    assert.equal(definitionOf(PlaceOrder), definitionOfInstance(new Urgent({ OrderId: '7' })))
    assert.equal(definitionOf(class {}), undefined)
    assert.equal(definitionOf({}), undefined)
  })

  it('does not know a spread copy or a plain object', () => {
    assert.equal(definitionOfInstance(Object.assign({}, new PlaceOrder({ OrderId: '7' }))), undefined)
    assert.equal(definitionOfInstance(null), undefined)
    assert.equal(definitionOfInstance(Object.create(null)), undefined)
  })

  it('knows its instance when the body has a property called constructor', () => {
    const instance = instantiate(IOrderEvent as MessageType, JSON.parse('{"constructor":1,"OrderId":"7"}') as object)

    assert.equal(definitionOfInstance(instance), definitionOf(IOrderEvent))
  })

  it('has the properties in the order of its schema and nothing else', () => {
    class Pair extends message('Shop.Pair', z.object({ B: z.number(), A: z.number() })) {}

    assert.equal(JSON.stringify(new Pair({ A: 1, B: 2 })), '{"B":2,"A":1}')
  })

  it('refuses input that its schema refuses, and says every place', () => {
    expect(() => new PlaceOrder({ OrderId: 7 as never })).toThrow(expect.objectContaining({ code: 'NSB_BODY_INVALID' }))
    expect(() => new PlaceOrder({} as never)).toThrow('/OrderId')
    for (const input of [null, [], 'text', undefined])
      expect(() => validate(PlaceOrder[messageSymbol], input)).toThrow('a message is an object')
  })

  it('drops __proto__ instead of assigning it', () => {
    const body = JSON.parse('{"OrderId":"7","__proto__":{"admin":true}}') as { OrderId: string }

    const [event, reread] = [new IOrderEvent(body), instantiate(IOrderEvent as MessageType, body)]

    for (const instance of [event, reread] as { admin?: unknown }[]) {
      assert.equal(instance.admin, undefined)
      assert.deepEqual(Object.keys(instance), ['OrderId'])
    }
  })

  it('refuses a schema that answers later', () => {
    class Slow extends command('Shop.Slow', z.object({ A: z.string().refine(() => Promise.resolve(true)) })) {}
    const later: StandardSchema<{ A: string }> = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => Promise.resolve({ value: value as { A: string } }) },
    }
    class Later extends command('Shop.Later', later) {}

    expect(() => new Slow({ A: 'x' })).toThrow(expect.objectContaining({ code: 'NSB_ASYNC_SCHEMA' }))
    expect(() => new Later({ A: 'x' })).toThrow(expect.objectContaining({ code: 'NSB_ASYNC_SCHEMA' }))
  })
})

describe('a declaration', () => {
  it.each([
    '',
    ' ',
    'Shop.',
    '.Shop',
    'Shop..PlaceOrder',
    'Shop.Place Order',
    'Shop;PlaceOrder',
    'Shop.1st',
    'Shop/PlaceOrder',
    'Shop+',
    'Shop.PlaceOrder__impl',
    'Shop.Of`1[[Shop.A]]',
    'Shop.Of<A>',
  ])('refuses the name %j', (name) => {
    expect(() => command(name, withId)).toThrow(expect.objectContaining({ code: 'NSB_BAD_TYPE_NAME' }))
  })

  it.each(['PlaceOrder', 'Shop.Messages.PlaceOrder', 'Shop.Outer+Inner', 'Läden._Bestellung1'])('accepts the name %s', (name) => {
    assert.equal(command(name, withId)[messageSymbol].fullName, name)
  })

  it('accepts a closed generic name only when asked to', () => {
    assert.equal(command('Shop.Of`1[[Shop.A, Shop]]', withId, { allowGeneric: true })[messageSymbol].fullName, 'Shop.Of`1[[Shop.A, Shop]]')
  })

  it.each(['Shop, Version=1.0.0.0', 'Shop;Other', '', 'My Shop'])('refuses the assembly %j', (assembly) => {
    expect(() => command('Shop.PlaceOrder', withId, { assembly })).toThrow(expect.objectContaining({ code: 'NSB_BAD_TYPE_NAME' }))
  })

  it('refuses two base classes, and an interface that implements a class', () => {
    expect(() => event('Shop.Both', withId, { implements: [OrderPlaced, PlaceOrder] })).toThrow('A .NET class has one')
    expect(() => MessageInterface('Shop.IWrong', { implements: [OrderPlaced] })).toThrow(
      expect.objectContaining({ code: 'NSB_BAD_HIERARCHY' }),
    )
  })

  it('refuses a parent that is no message', () => {
    expect(() => event('Shop.Odd', withId, { implements: [class Base {} as never] })).toThrow(`class 'Base'`)
    expect(() => event('Shop.Odd', withId, { implements: [undefined as never] })).toThrow(
      expect.objectContaining({ code: 'NSB_NOT_A_MESSAGE' }),
    )
  })

  it('refuses a missing schema and a time to be received that is not above zero', () => {
    expect(() => command('Shop.PlaceOrder', undefined as never)).toThrow(expect.objectContaining({ code: 'NSB_NO_SCHEMA' }))
    expect(() => command('Shop.PlaceOrder', withId, { timeToBeReceived: '00:00:00' })).toThrow(
      expect.objectContaining({ code: 'NSB_BAD_TIME_TO_BE_RECEIVED' }),
    )
  })
})

describe('assignability', () => {
  it.each([
    [PriorityOrderPlaced, IOrderEvent, true],
    [PriorityOrderPlaced, OrderPlaced, true],
    [OrderPlaced, PriorityOrderPlaced, false],
    [PlaceOrder, PlaceOrder, true],
    [PlaceOrder, IOrderEvent, false],
  ] as const)('%o to %o: %s', (from, to, expected) => {
    assert.equal(isAssignable(from[messageSymbol], to[messageSymbol]), expected)
  })
})

describe('what routing by hierarchy sees', () => {
  it('is what .NET reflection gives', () => {
    const priority = eventTypeOf(PriorityOrderPlaced[messageSymbol])

    assert.equal(priority.base?.fullName, 'Shop.Messages.OrderPlaced')
    assert.equal(priority.base.base?.fullName, 'System.Object')
    assert.deepEqual(
      priority.interfaces.map(({ fullName }) => fullName),
      ['Shop.Messages.IOrderEvent', 'NServiceBus.IEvent', 'NServiceBus.IMessage'],
    )
    assert.equal(eventTypeOf(IOrderCancelled[messageSymbol]).base, undefined)
  })

  it('chooses the nearest of several base classes', () => {
    class Rush extends event('Shop.Rush', withId, { implements: [PriorityOrderPlaced] }) {}

    assert.equal(eventTypeOf(Rush[messageSymbol]).base?.fullName, 'Shop.Messages.PriorityOrderPlaced')
  })
})
