import { describe, expect, it } from 'vitest'
import { startRun } from '../support/running-nsb.ts'
import { fill, shop } from '../support/shop-project.ts'

describe('a second nsb run of the same endpoint', () => {
  it('L-11 starts, says once who receives from the queue already, and shares the messages with it', async () => {
    const folder = shop(`await new Promise((resolve) => setTimeout(resolve, 10))`)
    const first = await startRun(folder)
    const second = await startRun(folder)
    const handled = (): string[] =>
      [first, second].flatMap(({ lines }) => lines.filter(({ event }) => event === 'handled').map(({ messageId }) => String(messageId)))

    await fill(folder, 0, 60)
    await expect.poll(() => handled().length, { timeout: 20_000 }).toBe(60)

    expect(new Set(handled()).size).toBe(60)
    expect(first.stderr).toBe('')
    expect(second.stderr.split('\n').filter((line) => line.includes('is received from already'))).toEqual([
      expect.stringContaining(`! Queue 'Shop' is received from already, by process ${first.pid} on `),
    ])
    for (const run of [first, second]) {
      run.kill('SIGINT')
      await run.ended
    }
  })
})
