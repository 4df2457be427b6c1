import assert from 'node:assert/strict'
import { describe, expect, it } from 'vitest'
import type { Ended } from '../../cli/nsb.ts'
import { type ErrorWorld, makeErrorWorld } from '../../support/error-world.ts'
import { journalText, safeIn } from '../../support/journals.ts'
import { asPut, bodiesIn, messages, numbers, staging } from './paced-support.ts'

describe.each(['quorum', 'classic'] as const)('a staged replay on a %s queue that is killed', (kind) => {
  const count = 600
  const window = 50

  async function killedIn(phase: 'moving' | 'draining'): Promise<ErrorWorld> {
    const world = await makeErrorWorld({ kind })
    const { errors, shop } = world
    await errors.put(messages(count))
    const rate = phase === 'draining' ? ['--rate', '200/s'] : []
    const replay = shop.start('errors', 'replay', '--all', '--staged', '--yes', ...rate)
    await expect.poll(() => safeIn(journalText(shop.state), phase), { timeout: 60_000, interval: 1 }).toBeGreaterThan(0)
    replay.kill('SIGKILL')
    await replay.ended
    return world
  }

  /** The broker may not have noticed yet that the one before is gone. */
  async function resumed({ shop }: ErrorWorld, ...flags: string[]): Promise<Ended> {
    let ended: Ended | undefined
    await expect
      .poll(async () => (ended = await shop.run('errors', 'resume', '--yes', '--json', ...flags)).code, { timeout: 60_000 })
      .not.toBe(6)
    return ended as Ended
  }

  const lost = (bodies: readonly string[]): string[] => numbers(count).filter((id) => !bodies.includes(id))

  it.each(['moving', 'draining'] as const)(
    'E-24 while %s is gone on with: nothing is lost, and a window of it arrives twice at most',
    { timeout: 240_000 },
    async (phase) => {
      const world = await killedIn(phase)

      const ended = await resumed(world)

      const [sent, left] = [await bodiesIn(world.sales), await bodiesIn(world.errors)]
      assert.equal(ended.code, 0, ended.stderr)
      assert.deepEqual(lost(sent), [])
      assert.ok(sent.length + left.length <= count + window, `${sent.length} + ${left.length}`)
      assert.deepEqual(await staging(world), [])
    },
  )

  it.each(['moving', 'draining'] as const)(
    'E-24 while %s is taken back: what was not sent is in the error queue, as it was',
    { timeout: 240_000 },
    async (phase) => {
      const world = await killedIn(phase)

      const ended = await resumed(world, '--undo')

      const [sent, left] = [await bodiesIn(world.sales), await world.errors.drain()]
      assert.equal(ended.code, 0, ended.stderr)
      assert.deepEqual(lost([...sent, ...left.map(({ body }) => body)]), [])
      assert.ok(sent.length + left.length <= count + window, `${sent.length} + ${left.length}`)
      assert.deepEqual(await staging(world), [])
      const before = new Map(messages(count).map((message) => [message.body, message]))
      for (const { body, headers, properties } of asPut(left)) {
        const { headers: put, properties: own } = before.get(body) as ReturnType<typeof messages>[number]
        assert.deepEqual(headers, { ...put, Number: put.Number.value })
        assert.deepEqual([properties['messageId'], properties['priority'], properties['appId']], [own.messageId, 3, 'shop'])
      }
    },
  )
})
