import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Conventions, type Logger, command, defineEndpoint, handler, message, silentLogger } from '../../src/index.ts'
import { testEndpoint, testWorld } from '../../src/testing/index.ts'

// Unobtrusive: every type is declared as a plain message, and the namespace says what it is.
class PlaceOrder extends message('Shop.Commands.PlaceOrder', z.object({})) {}
class OrderPlaced extends message('Shop.Events.OrderPlaced', z.object({})) {}
class OrderStatus extends message('Shop.Messages.OrderStatus', z.object({})) {}
class Internal extends message('Shop.Internal', z.object({})) {}
class Declared extends command('Shop.Declared', z.object({})) {}

const unobtrusive: Conventions = {
  isCommand: (fullName) => fullName.includes('.Commands.'),
  isEvent: (fullName) => fullName.includes('.Events.'),
  isMessage: (fullName) => fullName.includes('.Messages.'),
}

describe('with conventions instead of declared kinds', () => {
  it('best practices go by them', async () => {
    const endpoint = await testEndpoint({ conventions: unobtrusive, handlers: [handler(PlaceOrder, () => undefined)] })

    await expect(endpoint.publish(new PlaceOrder({}))).rejects.toMatchObject({ code: 'NSB_BEST_PRACTICE' })
    await expect(endpoint.send(new OrderPlaced({}), { destination: 'A' })).rejects.toMatchObject({ code: 'NSB_BEST_PRACTICE' })
    await expect(endpoint.subscribe(PlaceOrder)).rejects.toMatchObject({ code: 'NSB_BEST_PRACTICE' })
    await endpoint.publish(new OrderPlaced({}))
    expect(endpoint.world.dispatched.map(({ headers }) => headers['NServiceBus.MessageIntent'])).toEqual(['Publish'])
  })

  it('a handled event is subscribed to, and a published one arrives', async () => {
    const world = testWorld()
    const handled: string[] = []
    await world.start(
      defineEndpoint('Billing', { conventions: unobtrusive, handlers: [handler(OrderPlaced, () => void handled.push('OrderPlaced'))] }),
    )
    const sales = await world.start(defineEndpoint('Sales', { conventions: unobtrusive }))

    await sales.publish(new OrderPlaced({}))
    await world.settle()

    expect(handled).toEqual(['OrderPlaced'])
  })

  it('the test endpoint delivers an event with the intent of one', async () => {
    const intents: (string | undefined)[] = []
    const keep = handler(OrderPlaced, (_, context) => void intents.push(context.headers['NServiceBus.MessageIntent']))
    const endpoint = await testEndpoint({ conventions: unobtrusive, handlers: [keep] })

    await endpoint.receive(new OrderPlaced({}))

    expect(intents).toEqual(['Publish'])
  })

  it('what they do not call a message cannot be sent, and is not known on receive unless it has a handler', async () => {
    const warnings: string[] = []
    const logger: Logger = { ...silentLogger, warn: (text) => void warnings.push(text) }
    const endpoint = await testEndpoint(
      { conventions: unobtrusive, messages: [Internal, OrderStatus], handlers: [handler(Declared, () => undefined, { name: 'declared' })] },
      { logger },
    )

    await expect(endpoint.send(new Internal({}), { destination: 'A' })).rejects.toMatchObject({ code: 'NSB_NOT_A_MESSAGE' })
    expect(endpoint.types.find('Internal')).toEqual([])
    expect(warnings).toEqual([expect.stringContaining(`'Shop.Internal'`)])
    expect(await endpoint.receive(new Declared({}))).toMatchObject({ status: 'ok', handlersRun: ['declared'] })
  })

  it('a convention that is not given leaves the declaration in force, and each type is asked about once', async () => {
    let asked = 0
    const endpoint = await testEndpoint({
      conventions: {
        isEvent: (fullName) => {
          asked += 1
          return fullName.includes('.Events.')
        },
      },
    })

    await endpoint.send(new Declared({}), { destination: 'A' })
    await expect(endpoint.publish(new Declared({}) as never)).rejects.toMatchObject({ code: 'NSB_BEST_PRACTICE' })
    await endpoint.publish(new OrderPlaced({}))
    await endpoint.publish(new OrderPlaced({}))

    expect(asked).toBe(1)
  })
})
