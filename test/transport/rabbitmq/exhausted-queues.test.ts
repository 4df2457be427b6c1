import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { systemClock } from '../../../src/transport/clock.ts'
import { ExhaustedQueues } from '../../../src/transport/rabbitmq/exhausted-queues.ts'
import { temporaryFolder } from '../../cli/nsb.ts'

const at = (hours: number): typeof systemClock => ({ ...systemClock, now: () => hours * 3_600_000 })
const broker = 'amqp://guest:***@localhost:5672'

it('E-12 a note is for one queue of one broker with one limit, and for a day', async () => {
  const folder = temporaryFolder()
  const next = (hours = 0, of = broker): ExhaustedQueues => new ExhaustedQueues(folder, of, at(hours))
  next().add('error', 3)

  expect(await next().has('error', 3)).toBe(true)
  expect(await next().has('error', 'unknown')).toBe(true)
  expect(await next(23).has('error', 3)).toBe(true)
  expect(await next(24).has('error', 3)).toBe(false)
  expect(await next(-1).has('error', 3)).toBe(false)
  for (const limit of [4, 'unlimited'] as const) expect(await next().has('error', limit)).toBe(false)
  expect(await next().has('other', 3)).toBe(false)
  expect(await next(0, 'amqp://guest:***@elsewhere:5672').has('error', 3)).toBe(false)
  await next().delete('error')
  expect(await next().has('error', 3)).toBe(false)
})

it('E-12 a note that cannot be read or written refuses nothing', async () => {
  const folder = temporaryFolder()
  new ExhaustedQueues(folder, broker, at(0)).add('error', 3)
  const [name = ''] = readdirSync(join(folder, 'exhausted'))
  for (const text of ['', '{', 'null', '"text"', '{}']) {
    writeFileSync(join(folder, 'exhausted', name), text)
    expect(await new ExhaustedQueues(folder, broker, at(0)).has('error', 3)).toBe(false)
  }

  const nowhere = new ExhaustedQueues(join(folder, 'exhausted', name), broker, at(0))
  nowhere.add('error', 3)
  expect(await nowhere.has('error', 3)).toBe(true)
  await nowhere.delete('error')
})
