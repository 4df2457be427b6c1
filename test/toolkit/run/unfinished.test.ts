import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type MessageHandlerContext, command, defineEndpoint, handler } from '../../../src/index.ts'
import { Pause } from '../../../src/toolkit/run/pause.ts'
import { type RunOptions, type RunSummary, runEndpoint } from '../../../src/toolkit/run/run.ts'
import { openTransport } from '../../../src/transport/open.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { tempFolder } from '../../support/temp-folder.ts'

class Work extends command('Shop.Work', z.object({})) {}

interface World {
  readonly transport: Transport
  readonly told: string[]
  run(this: void, handle: (context: MessageHandlerContext) => Promise<void>, more?: Partial<RunOptions>): Promise<RunSummary>
}

/** An endpoint on a folder with one message; its handlers get no time to finish. */
async function world(): Promise<World> {
  const transport = await openTransport({ kind: 'learning', storage: tempFolder() })
  const told: string[] = []
  await transport.createQueues(['Sales'])
  const headers = { 'NServiceBus.MessageId': 'm1', 'NServiceBus.EnclosedMessageTypes': 'Shop.Work' }
  await transport.dispatch([{ id: 'm1', headers, body: Buffer.from('{}'), to: { exactQueue: 'Sales' } }])
  return {
    transport,
    told,
    run: async (handle, more) => {
      const definition = defineEndpoint('Sales', { handlers: [handler(Work, (_, context) => handle(context))] })
      const summary = await runEndpoint(definition, {
        transport,
        files: new Map(),
        signal: new AbortController().signal,
        graceMs: () => 0,
        ready: () => undefined,
        stopping: ({ inHand }) => told.push(`stopping with ${inHand}`),
        event: ({ outcome }) => told.push(outcome.kind),
        poison: () => undefined,
        abandoned: () => told.push('abandoned'),
        ...more,
      })
      await transport.close()
      return summary
    },
  }
}

const untilAborted = ({ signal }: MessageHandlerContext): Promise<void> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
const forEver = (): Promise<void> => new Promise(() => undefined)

describe('when a run is to end', () => {
  it.each([
    ['heeds its abort', untilAborted, 'cancelled'],
    ['ignores its abort', forEver, 'abandoned'],
  ])('CLI-13 a message whose handler %s is counted as unfinished, and waits in its queue again', async (_, handle, what) => {
    const { run, told, transport } = await world()
    const end = new AbortController()

    const summary = await run(
      (context) => {
        end.abort()
        return handle(context)
      },
      { signal: end.signal },
    )

    expect(summary).toEqual({ handled: 0, failed: 0, retried: 0, discarded: 0, unfinished: 1, criticalErrors: 0 })
    expect(told).toEqual(['stopping with 1', what])
    expect((await transport.inspect('Sales'))?.depth).toBe(1)
  })

  it('CLI-13 a message in hand is finished within the grace period', async () => {
    const { run, told, transport } = await world()
    const end = new AbortController()
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))

    const summary = await run(
      () => {
        end.abort()
        return gate
      },
      {
        signal: end.signal,
        graceMs: () => 60_000,
        stopping: ({ inHand }) => {
          told.push(`stopping with ${inHand}`)
          release()
        },
      },
    )

    expect(summary).toMatchObject({ handled: 1, unfinished: 0 })
    expect(told).toEqual(['stopping with 1', 'handled'])
    expect((await transport.inspect('Sales'))?.depth).toBe(0)
  })
})

describe('when a run is paused', () => {
  it('what was put back is handled when it goes on, and is not unfinished', async () => {
    const { run, told } = await world()
    const pause = new Pause()
    let attempts = 0

    const summary = await run(
      (context) => {
        if (++attempts > 1) return Promise.resolve()
        pause.set(true)
        return untilAborted(context)
      },
      { max: 1, pause, paused: () => pause.set(false) },
    )

    expect(told).toEqual(['cancelled', 'handled'])
    expect(summary).toMatchObject({ handled: 1, unfinished: 0 })
  })
})
