import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failureHeaders } from '../../../cli/nsb.ts'
import { ErrorQueue } from '../../../support/error-queue.ts'
import { type VirtualHost, makeVirtualHost } from '../../../support/virtual-host.ts'

const script = fileURLToPath(new URL('scripts/replay-until-killed.ts', import.meta.url))
const count = 60
const window = 10

let host: VirtualHost
beforeAll(async () => {
  host = await makeVirtualHost()
})
afterAll(() => host.remove())

/** Runs the script. @returns the signal that ended it */
function replayIn(queue: string, step: string, at: number): Promise<string | null> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, host.url, queue, step, String(at)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return new Promise((resolve) => {
    child.once('exit', (_, signal) => resolve(signal))
  })
}

describe('replay that is killed', () => {
  it.each([
    ['selected', 1],
    ['selected', 25],
    ['publishing', 25],
    ['confirmed', 1],
    ['confirmed', 3],
    ['removed', 25],
  ])('E-24 loses no message and sends none more than twice: at "%s", message or group %i', { timeout: 60_000 }, async (step, at) => {
    const errors = await ErrorQueue.make(host, `error-${step}-${at}`, { kind: 'quorum' })
    const sales = await ErrorQueue.make(host, `Sales-${step}-${at}`, { kind: 'quorum' })
    await errors.fill(count, (id) =>
      failureHeaders(id, { 'NServiceBus.FailedQ': sales.name, 'NServiceBus.ProcessingEndpoint': sales.name }),
    )

    expect(await replayIn(errors.name, step, at)).toBe('SIGKILL')
    // Whoever comes next sends the rest, and what the killed one had sent without being able to say so.
    await expect.poll(async () => (await errors.depth()) + (await sales.depth()), { timeout: 10_000 }).toBeGreaterThanOrEqual(count)
    expect(await replayIn(errors.name, 'never', 0)).toBe(null)

    const times = new Map<string, number>()
    for (const { body } of await sales.drain()) times.set(body, (times.get(body) ?? 0) + 1)
    assert.deepEqual([...times.keys()].toSorted(), Array.from({ length: count }, (_, index) => `m${index + 1}`).toSorted())
    assert.ok([...times.values()].every((sent) => sent <= 2))
    // A window that was published, and one whose acknowledgements died with the connection on their way.
    const twice = [...times.values()].filter((sent) => sent === 2).length
    assert.ok(twice <= 2 * window, `${twice} were sent twice`)
    assert.equal(await errors.depth(), 0)
  })
})
