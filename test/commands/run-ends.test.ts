import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { storedMessages } from '../support/folders.ts'
import { shop, write } from '../support/shop-project.ts'

const send = (folder: string, ...ids: readonly string[]) =>
  nsb(['send', 'PlaceOrder', '--each', '--quiet'], { cwd: folder, input: ids.map((OrderId) => JSON.stringify({ OrderId })).join('\n') })
const waiting = (folder: string) => storedMessages(join(folder, '.learningtransport'), 'Shop')
const last = (stdout: string) => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>

describe('nsb run --max', () => {
  it('touches no further message, also when several are in hand', async () => {
    const folder = shop('await new Promise((resolve) => setTimeout(resolve, 5))')
    await send(folder, '1', '2', '3', '4', '5')

    const { code, stdout } = await nsb(['run', '--max', '3', '--concurrency', '4', '--log', 'json'], { cwd: folder })

    expect(code).toBe(0)
    expect(last(stdout)).toMatchObject({ handled: 3, failed: 0 })
    expect(waiting(folder)).toHaveLength(2)
  })

  it('counts a message that failed, not its retries, and ends with 8', async () => {
    const folder = shop()
    await send(folder, 'bad', '2')

    const { code, stdout } = await nsb(
      ['run', '--max', '2', '--immediate-retries', '2', '--delayed-retries', '0', '--concurrency', '2', '--log', 'json'],
      { cwd: folder },
    )

    expect(code).toBe(8)
    expect(last(stdout)).toMatchObject({ handled: 1, failed: 1, retried: 2 })
  })
})

describe('nsb run --until-idle', () => {
  it('is not idle while a message is in hand, and waits for what it sends to its own endpoint', async () => {
    const folder = shop(`await new Promise((resolve) => setTimeout(resolve, 300))
    if (message.OrderId === '1') await context.sendLocal(new PlaceOrder({ OrderId: '2' }))`)
    await send(folder, '1')

    const { stdout } = await nsb(['run', '--until-idle', '50ms', '--log', 'json'], { cwd: folder })

    expect(last(stdout)).toMatchObject({ handled: 2 })
  })

  it('ends with 8 when a message could not even be read', async () => {
    const folder = shop()
    await send(folder, '1')
    const queue = join(folder, '.learningtransport', 'Shop')
    const metadata = readdirSync(queue).find((name) => name.endsWith('.metadata.txt')) ?? ''
    writeFileSync(join(queue, metadata), 'no headers')

    const { code, stdout } = await nsb(['run', '--until-idle', '50ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(8)
    expect(stdout).toContain('"event":"poison"')
    expect(last(stdout)).toMatchObject({ handled: 0, failed: 1 })
  })
})

describe('nsb run --max-time', () => {
  it('ends by itself, with 0 when nothing failed', async () => {
    const { code } = await nsb(['run', '--max-time', '100ms'], { cwd: shop() })

    expect(code).toBe(0)
  })

  it('CLI-3 CLI-13 waits for the messages in hand, and ends with 7 when one did not finish and was put back', async () => {
    const folder = shop('await new Promise((resolve) => message.OrderId === "never" || setTimeout(resolve, 4000))')
    await send(folder, 'slow', 'never', '3')

    const { code, stderr, stdout } = await nsb(['run', '--max-time', '2s', '--concurrency', '2', '--log', 'json'], { cwd: folder })

    expect(code).toBe(7)
    expect(stderr).toContain('waiting up to 10 s for 2 messages in hand')
    expect(stderr).toContain('1 message in hand did not finish in time, and was put back into Shop')
    expect(last(stdout)).toMatchObject({ handled: 1, failed: 0, unfinished: 1 })
    expect(waiting(folder)).toHaveLength(2)
  })
})

describe('nsb run --purge', () => {
  it('asks, and without a terminal names the flag that answers, removing nothing', async () => {
    const folder = shop()
    await send(folder, '1')

    const { code, stderr } = await nsb(['run', '--purge', '--until-idle', '50ms'], { cwd: folder })

    expect(code).toBe(6)
    expect(stderr).toContain('Remove 1 message from Shop?')
    expect(stderr).toContain('--yes')
    expect(waiting(folder)).toHaveLength(1)
  })

  it('removes what waits before anything is processed', async () => {
    const folder = shop()
    await send(folder, '1', '2')

    const { code, stderr, stdout } = await nsb(['run', '--purge', '--yes', '--until-idle', '50ms', '--log', 'json'], { cwd: folder })

    expect(code).toBe(0)
    expect(stderr).toContain('removed 2 from Shop')
    expect(last(stdout)).toMatchObject({ handled: 0 })
    expect(waiting(folder)).toEqual([])
  })
})

describe('nsb run --verbose', () => {
  it('U-14 warns of several handlers for one type and says how to keep them apart; without the flag it does not', async () => {
    const folder = shop()
    write(folder, {
      'src/handlers/audit.handler.ts': `import { handler } from 'nsbus'
import { PlaceOrder } from '../messages/place-order.ts'
export const audit = handler(PlaceOrder, () => undefined, { name: 'Audit' })
`,
    })

    const quiet = await nsb(['run', '--until-idle', '20ms'], { cwd: folder })
    const verbose = await nsb(['run', '--until-idle', '20ms', '--verbose'], { cwd: folder })

    expect(quiet.stderr).not.toContain('2 handlers')
    expect(verbose.stderr).toMatch(/Shop\.PlaceOrder runs 2 handlers as one unit \(Audit, PlaceOrderHandler\)[^]*nsb handlers/)
  })
})
