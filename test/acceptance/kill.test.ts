import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { startNsb, startRun } from '../support/running-nsb.ts'
import { fill, placeOrderHandler, shop } from '../support/shop-project.ts'

const messages = 40
// Many, so that moving them takes a while.
const outgoing = 24

/** A shop whose handler writes down when it runs, takes its time, and sends several messages. */
const busyShop = (): string =>
  shop(`appendFileSync('ran.log', message.OrderId + '\\n')
    await new Promise((resolve) => setTimeout(resolve, 15))
    for (let n = 0; n < ${outgoing}; n++) await context.send(new OrderAccepted({ OrderId: message.OrderId + ':' + n }), { destination: 'Out' })
  }
}
import { appendFileSync } from 'node:fs'
{ {`)

const ran = (folder: string): string[] =>
  existsSync(join(folder, 'ran.log')) ? readFileSync(join(folder, 'ran.log'), 'utf8').trim().split('\n') : []

/** True while a transaction is being carried out: its outgoing messages are moved to their queues. */
const dispatching = (folder: string): boolean => {
  try {
    return readdirSync(join(folder, '.learningtransport', 'Shop', '.committed')).length > 0
  } catch {
    return false
  }
}

describe('when an endpoint is killed and started again', () => {
  const moments: readonly {
    readonly name: string
    readonly stage: '.pending' | '.committed'
    readonly kills: number
    due(folder: string, ranAtStart: number): boolean
  }[] = [
    { name: 'in the middle of a handler', stage: '.pending', kills: 4, due: (folder, ranAtStart) => ran(folder).length >= ranAtStart + 3 },
    {
      name: 'in the middle of dispatching',
      stage: '.committed',
      kills: 4,
      due: (folder, ranAtStart) => ran(folder).length > ranAtStart + 1 && dispatching(folder),
    },
  ]
  for (const { kills, name, stage, ...moment } of moments)
    it(`L-10 ${name}, no message is lost, none is stuck, every outgoing message arrives exactly once, and no body stays behind`, async () => {
      const folder = busyShop()
      await fill(folder, 0, messages)
      let interrupted = 0

      for (let kill = 0; kill < kills; kill++) {
        const ranAtStart = ran(folder).length
        const run = await startRun(folder, '--no-retries')
        // A tight loop, because the moment is short; it may be missed.
        while (!moment.due(folder, ranAtStart) && ran(folder).length < messages) await new Promise((resolve) => setImmediate(resolve))
        run.kill('SIGKILL')
        await run.ended
        interrupted += readdirSync(join(folder, '.learningtransport', 'Shop', stage)).length
      }
      const { code, stderr } = await nsb(['run', '--no-retries', '--until-idle', '300ms', '--log', 'json'], { cwd: folder })

      expect(code, stderr).toBe(0)
      expect(interrupted, 'kills that met a message in that stage').toBeGreaterThan(0)
      const storage = join(folder, '.learningtransport')
      const arrived = storedMessages(storage, 'Out').map(({ body }) => (JSON.parse(body.toString()) as { OrderId: string }).OrderId)
      const expected = Array.from({ length: messages }, (_, id) => Array.from({ length: outgoing }, (__, n) => `o${id}:${n}`)).flat()
      expect(arrived.sort()).toEqual(expected.sort())
      expect([storedMessages(storage, 'Shop'), storedMessages(storage, 'error')]).toEqual([[], []])
      for (const stage of ['.pending', '.committed', '.bodies']) expect(readdirSync(join(storage, 'Shop', stage))).toEqual([])
      // One body for each message that arrived: none of a batch that was dropped half way.
      expect(readdirSync(join(storage, 'Out', '.bodies'))).toHaveLength(expected.length)
    })
})

describe('a message whose handler ends the process', () => {
  it('is in the error queue after six starts, with the reason; the next message is handled, and a replay after the fix works', async () => {
    const folder = shop(`if (message.OrderId === 'o0') process.kill(process.pid, 'SIGKILL')
    await context.send(new OrderAccepted({ OrderId: message.OrderId }), { destination: 'Out' })`)
    const storage = join(folder, '.learningtransport')
    await fill(folder, 0, 2)

    for (let start = 0; start < 6; start++) await startNsb(['run'], folder).ended
    const { code, stderr } = await nsb(['run', '--until-idle', '300ms'], { cwd: folder })
    const list = await nsb(['errors', 'list', '--json'], { cwd: folder })
    writeFileSync(
      join(folder, 'src/handlers/place-order.handler.ts'),
      placeOrderHandler(`await context.send(new OrderAccepted({ OrderId: message.OrderId }), { destination: 'Out' })`),
    )
    const replay = await nsb(['errors', 'replay', '--all', '--yes'], { cwd: folder })
    await nsb(['run', '--until-idle', '300ms'], { cwd: folder })

    expect([code, replay.code], stderr).toEqual([8, 0])
    expect(list.json()).toMatchObject({
      total: 1,
      items: [
        {
          messageId: 'm0',
          queue: 'Shop',
          exceptionMessage: 'The message was not handled again: its process died 6 times while it had the message in hand.',
        },
      ],
    })
    const arrived = storedMessages(storage, 'Out').map(({ body }) => (JSON.parse(body.toString()) as { OrderId: string }).OrderId)
    expect(arrived.sort()).toEqual(['o0', 'o1'])
  })
})
