import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { type RunningNsb, startRun } from '../support/running-nsb.ts'
import { fill, shop } from '../support/shop-project.ts'

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'
const kills = Number(process.env['NSB_CAMPAIGN_KILLS'] ?? 200)
const outgoing = 4
// More than a process handles before it is killed, so that none is ever idle.
const messagesPerKill = 25

const laborious = (): string =>
  shop(`appendFileSync('ran.log', message.OrderId + '\\n')
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 8))
    for (let n = 0; n < ${outgoing}; n++) await context.send(new OrderAccepted({ OrderId: message.OrderId + ':' + n }), { destination: 'Out' })
  }
}
import { appendFileSync } from 'node:fs'
{ {`)

const entries = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : [])

interface Account {
  readonly kills: number
  readonly messages: number
  /** Kills that met a message before and after its commit. */
  readonly met: Readonly<Record<'.pending' | '.committed', number>>
  /** Handler runs beyond one for each message. */
  readonly runAgain: number
  readonly lost: number
  readonly duplicated: number
  readonly stuck: number
  /** Body files whose message is done. */
  readonly bodiesLeft: number
  /** Counts of failed attempts, of messages that are done. */
  readonly countsLeft: number
}

/** What became of the messages, once a last run has emptied the queue. */
async function settle(folder: string, killed: number, messages: number, met: Account['met']): Promise<Account> {
  const { code, stderr } = await nsb(['run', '--no-retries', '--until-idle', '500ms', '--log', 'json'], { cwd: folder })
  expect(code, stderr).toBe(0)
  const storage = join(folder, '.learningtransport')
  const arrived = storedMessages(storage, 'Out').map(({ body }) => (JSON.parse(body.toString()) as { OrderId: string }).OrderId)
  const distinct = new Set(arrived)
  let lost = 0
  for (let id = 0; id < messages; id++) for (let n = 0; n < outgoing; n++) if (!distinct.delete(`o${id}:${n}`)) lost++
  expect([...distinct], 'messages that nobody sent').toEqual([])
  const queue = join(storage, 'Shop')
  const stuck =
    storedMessages(storage, 'Shop').length +
    storedMessages(storage, 'error').length +
    ['.pending', '.committed', '.delayed'].reduce((sum, stage) => sum + entries(join(queue, stage)).length, 0)
  const ran = readFileSync(join(folder, 'ran.log'), 'utf8').trim().split('\n').length
  const duplicated = arrived.length - new Set(arrived).size
  return {
    kills: killed,
    messages,
    met,
    runAgain: ran - messages,
    lost,
    duplicated,
    stuck,
    bodiesLeft: entries(join(queue, '.bodies')).length,
    countsLeft: entries(join(storage, '.nsb', 'attempts', 'Shop')).length,
  }
}

describe.skipIf(!inCampaign)('kill -9 at random points, which takes minutes and needs NSB_CAMPAIGN=1', () => {
  const ways = [
    { name: 'one process', processes: 1, share: 0.4 },
    { name: 'two processes that compete for one queue', processes: 2, share: 0.4 },
    { name: 'a process that is killed again and again beside one that stays', processes: 1, share: 0.2, beside: true },
  ]
  for (const { beside = false, name, processes, share } of ways)
    it(`L-10 ${name}: nothing is lost, nothing is stuck, nothing is sent twice, and no body stays behind`, async () => {
      const folder = laborious()
      const due = Math.max(1, Math.round(kills * share))
      const met = { '.pending': 0, '.committed': 0 }
      let [killed, messages] = [0, 0]
      const staying = beside ? await startRun(folder, '--no-retries') : undefined

      while (killed < due) {
        if (!beside) await fill(folder, messages, messagesPerKill * processes)
        const running: RunningNsb[] = await Promise.all(Array.from({ length: processes }, () => startRun(folder, '--no-retries')))
        // The one that stays would be through with them while the other starts.
        if (beside) await fill(folder, messages, messagesPerKill * processes)
        messages += messagesPerKill * processes
        for (const run of running) {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 120))
          run.kill('SIGKILL')
          await run.ended
          killed++
          if (!staying && run === running.at(-1))
            for (const stage of ['.pending', '.committed'] as const)
              if (entries(join(folder, '.learningtransport', 'Shop', stage)).length > 0) met[stage]++
        }
      }
      staying?.kill('SIGINT')
      await staying?.ended

      const account = await settle(folder, killed, messages, met)
      console.log(JSON.stringify({ way: name, ...account }))
      expect(account).toMatchObject({ lost: 0, duplicated: 0, stuck: 0, bodiesLeft: 0, countsLeft: 0 })
    })
})
