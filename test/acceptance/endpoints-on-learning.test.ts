import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import {
  type EndpointDefinition,
  type RunningEndpoint,
  command,
  defineEndpoint,
  handler,
  route,
  silentLogger,
  startEndpoint,
} from '../../src/index.ts'
import { learningTransport } from '../../src/transport/learning/transport.ts'
import { storedMessages } from '../support/folders.ts'
import { tempFolder } from '../support/temp-folder.ts'

const patient = { timeout: 20_000 }

async function start(storage: string, definition: EndpointDefinition): Promise<RunningEndpoint> {
  const transport = learningTransport({ storage })
  const endpoint = await startEndpoint(definition, { transport, logger: silentLogger })
  onTestFinished(async () => {
    await endpoint.stop()
    await transport.close()
  })
  return endpoint
}

const failures = (storage: string) =>
  (existsSync(join(storage, 'error')) ? storedMessages(storage, 'error') : []).map(({ headers }) => ({
    type: headers['NServiceBus.EnclosedMessageTypes'],
    queue: headers['NServiceBus.FailedQ'],
  }))

const isEmpty = (storage: string, queue: string): boolean =>
  ['', '.pending', '.committed'].every((stage) => readdirSync(join(storage, queue, stage)).every((name) => name.startsWith('.')))

describe('sub-tasks on one folder', () => {
  class PlaceOrder extends command('Shop.PlaceOrder', z.object({})) {}
  class ToStock extends command('Shop.ToStock', z.object({})) {}
  class ToBank extends command('Shop.ToBank', z.object({})) {}
  const failing = { immediateRetries: 2, delayedRetries: 0 }
  const twoTasks = (done: string[]) => [
    handler(ToStock, () => void done.push('stock')),
    handler(ToBank, () => {
      done.push('bank')
      throw new Error('bank closed')
    }),
  ]
  const onlyTheBankWasRetried = ['bank', 'bank', 'bank', 'stock']

  it('U-10 that are split at the destination fail and are retried each for itself', async () => {
    const storage = tempFolder()
    const done: string[] = []
    const split = handler(PlaceOrder, async (_, context) => {
      done.push('split')
      await context.sendLocal(new ToStock({}))
      await context.sendLocal(new ToBank({}))
    })
    const endpoint = await start(storage, defineEndpoint('Work', { handlers: [split, ...twoTasks(done)], recoverability: failing }))

    await endpoint.sendLocal(new PlaceOrder({}))
    await expect.poll(() => done.length >= 5 && isEmpty(storage, 'Work'), patient).toBe(true)

    expect(done.toSorted()).toEqual([...onlyTheBankWasRetried, 'split'].toSorted())
    expect(failures(storage)).toEqual([{ type: 'Shop.ToBank', queue: 'Work' }])
  })

  it('U-11 that are split at the source fail and are retried each for itself', async () => {
    const storage = tempFolder()
    const done: string[] = []
    await start(storage, defineEndpoint('Work', { handlers: twoTasks(done), recoverability: failing }))
    const sender = await start(storage, defineEndpoint('Web', { sendOnly: true, routes: [route(ToStock, 'Work'), route(ToBank, 'Work')] }))

    await sender.send(new ToStock({}))
    await sender.send(new ToBank({}))
    await expect.poll(() => done.length >= 4 && isEmpty(storage, 'Work'), patient).toBe(true)

    expect(done.toSorted()).toEqual(onlyTheBankWasRetried)
    expect(failures(storage)).toEqual([{ type: 'Shop.ToBank', queue: 'Work' }])
  })

  it('U-12 that are sent to several endpoints have the retry policy of each', async () => {
    const storage = tempFolder()
    const attempts: string[] = []
    const policies = { Patient: 3, Hasty: 0 }
    for (const [name, immediateRetries] of Object.entries(policies)) {
      const broken = handler(ToStock, () => {
        attempts.push(name)
        throw new Error('broken')
      })
      await start(storage, defineEndpoint(name, { handlers: [broken], recoverability: { immediateRetries, delayedRetries: 0 } }))
    }
    const sender = await start(storage, defineEndpoint('Web', { sendOnly: true }))

    for (const destination of Object.keys(policies)) await sender.send(new ToStock({}), { destination })
    await expect.poll(() => failures(storage).length, patient).toBe(2)

    expect(attempts.toSorted()).toEqual(['Hasty', 'Patient', 'Patient', 'Patient', 'Patient'])
    expect(new Set(failures(storage).map(({ queue }) => queue))).toEqual(new Set(['Hasty', 'Patient']))
  })
})

describe('requests on one folder', () => {
  class Sum extends command('Shop.Sum', z.object({ Number: z.number() })) {}
  const adding = handler(Sum, async ({ Number: number }, context) => {
    // Replies come back in another order than the requests went out.
    for (let turn = 0; turn < number % 7; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    await context.reply(number * 2)
  })
  const web = (instance: string) => defineEndpoint('Web', { instance, routes: [route(Sum, 'Server')] })

  it('CB-13 a hundred at once over one instance queue are answered each with its own reply', async () => {
    const storage = tempFolder()
    await start(storage, defineEndpoint('Server', { handlers: [adding], concurrency: 16 }))
    const requester = await start(storage, web('a1'))
    const numbers = Array.from({ length: 100 }, (_, index) => index)

    const answers = await Promise.all(numbers.map((number) => requester.request(new Sum({ Number: number }), 'int')))

    expect(answers).toEqual(numbers.map((number) => number * 2))
    expect(requester.pendingRequests).toBe(0)
    await expect.poll(() => isEmpty(storage, 'Web-a1'), patient).toBe(true)
  })

  it('CB-14 replies go to the instance that asked, and never to the queue that the instances share', async () => {
    const storage = tempFolder()
    const repliedTo: string[] = []
    const server = defineEndpoint('Server', {
      handlers: [adding],
      concurrency: 4,
      hooks: { onReceive: (context, next) => (repliedTo.push(context.headers['NServiceBus.ReplyToAddress'] ?? 'nobody'), next()) },
    })
    await start(storage, server)
    const [one, other] = [await start(storage, web('a1')), await start(storage, web('b2'))]

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).request(new Sum({ Number: index }), 'int')),
    )

    expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index * 2))
    expect(repliedTo.toSorted()).toEqual([...Array<string>(10).fill('Web-a1'), ...Array<string>(10).fill('Web-b2')])
    await expect.poll(() => ['Web', 'Web-a1', 'Web-b2'].every((queue) => isEmpty(storage, queue)), patient).toBe(true)
    expect(failures(storage)).toEqual([])
  })
})
