import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { savedLine } from '../../../src/message/saved-message.ts'
import { failureHeaders, nsb, temporaryFolder } from '../../cli/nsb.ts'
import { startNsb } from '../../support/running-nsb.ts'
import { type Broker, startBroker } from '../../support/broker.ts'
import { depthIs, message, openRabbit, receive, textOf, until } from './faults-support.ts'

// An alarm is that of the whole broker, so this one is nobody else's.
let broker: Broker
let url: string
beforeAll(async () => {
  broker = await startBroker()
  url = `amqp://guest:guest@127.0.0.1:${broker.port}`
})
afterAll(() => broker.remove())

/** Wants more free space than any disk has. @returns ends the alarm */
async function raiseDiskAlarm(): Promise<() => Promise<unknown>> {
  await broker.control('set_disk_free_limit', 'mem_relative', '10000.0')
  const end = (): Promise<unknown> => broker.control('set_disk_free_limit', '1000000')
  onTestFinished(async () => void (await end()))
  const isAlarmed = async (): Promise<boolean> => {
    const nodes = (await broker.api('GET', 'nodes?columns=disk_free_alarm')) as readonly { readonly disk_free_alarm: boolean }[]
    return nodes.some(({ disk_free_alarm: alarm }) => alarm)
  }
  await until('the alarm is raised', isAlarmed)
  return end
}

describe('while the disk of the broker is full', () => {
  it('sends wait, which is said once, receiving goes on, and afterwards everything arrives once', { timeout: 60_000 }, async () => {
    const transport = openRabbit(url, { management: { url: `http://127.0.0.1:${broker.managementPort}` } })
    await transport.createQueues(['Sales', 'Waiting'])
    await transport.dispatch([message('before', 'Sales'), ...Array.from({ length: 50 }, (_, n) => message(`w${n}`, 'Waiting'))])
    const endAlarm = await raiseDiskAlarm()

    let sent = 0
    const texts = Array.from({ length: 500 }, (_, number) => `m${number}`)
    const sending = texts.map((text) => transport.dispatch([message(text, 'Sales')]).then(() => (sent += 1)))
    await until('the alarm is reported', () => transport.warnings.some((warning) => warning.includes('takes no messages')))
    const waiting = await receive(transport, 'Waiting')
    await until('what waited is received', () => waiting.deliveries.length === 50)
    await waiting.stop()
    const sentDuring = sent

    await endAlarm()
    await Promise.all(sending)

    expect(sentDuring).toBeLessThan(texts.length)
    await depthIs(transport, 'Waiting', 0)
    const all = await receive(transport, 'Sales')
    await until('all have arrived', () => all.deliveries.length > texts.length)
    await all.stop()
    await depthIs(transport, 'Sales', 0)
    expect(all.deliveries.map(textOf).toSorted()).toEqual(['before', ...texts].toSorted())
    expect(transport.warnings).toEqual([
      expect.stringMatching(/^The broker takes no messages on 'nsb Publish' for now: .*disk.* Sends wait until it does again\.$/),
      expect.stringMatching(/^The broker takes messages on 'nsb Publish' again\.$/),
    ])
  })

  it('CLI-3 nsb profile test ends with 5, and names the alarm', { timeout: 60_000 }, async () => {
    await raiseDiskAlarm()
    const words = ['profile', 'test', '--connection', url, '--json']

    const { code, json } = await nsb(words, { cwd: temporaryFolder() })

    expect(code).toBe(5)
    expect(json()['refused']).toEqual([expect.stringMatching(/^The broker takes no messages for now: .*disk/)])
  })

  it('CLI-3 nsb send ends with 5 after --timeout, and names the alarm', { timeout: 60_000 }, async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['Orders'])
    const endAlarm = await raiseDiskAlarm()
    const send = () =>
      nsb(
        [
          'send',
          'Shop.PlaceOrder',
          '--to',
          'Orders',
          '--no-validate',
          '--data',
          'OrderId=1',
          '--timeout',
          '2s',
          '--connection',
          url,
          '--json',
        ],
        { cwd: temporaryFolder() },
      )

    const refused = await send()
    await endAlarm()
    const sent = await send()

    expect([refused.code, sent.code], refused.stderr + sent.stderr).toEqual([5, 0])
    expect(refused.json()).toMatchObject({
      error: { code: 'NSB_NO_CONFIRM', message: expect.stringMatching(/within 2000 ms; it takes none now: .*disk/) },
    })
  })

  // Each would wait for ten minutes.
  const alarmed = async (words: readonly string[], input?: string): Promise<{ readonly code: number | null; readonly stderr: string }> => {
    const folder = temporaryFolder()
    if (input !== undefined) writeFileSync(join(folder, 'in.ndjson'), input)
    const endAlarm = await raiseDiskAlarm()
    const running = startNsb([...words, '--timeout', '10m'], folder, { NSB_CONNECTION: url, NSB_STATE_DIR: folder })
    await until('the alarm is said', () => running.stderr.includes('takes no messages'))
    running.kill('SIGINT')
    const code = await running.ended
    await endAlarm()
    return { code, stderr: running.stderr }
  }

  it('CLI-3 Ctrl-C ends a replay, whose messages are in the error queue again or were sent', { timeout: 60_000 }, async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['Replayed', 'error-r'])
    const failure = (id: string) => message(id, 'error-r', { headers: failureHeaders(id, { 'NServiceBus.FailedQ': 'Replayed' }) })
    await transport.dispatch(Array.from({ length: 20 }, (_, number) => failure(`f${number}`)))
    await depthIs(transport, 'error-r', 20)

    const { code, stderr } = await alarmed(['errors', 'replay', '--all', '--yes', '--error-queue', 'error-r'])

    expect(code, stderr).toBe(130)
    expect(stderr).toMatch(/nsb errors resume/)
    await depthIs(transport, 'error-r', 20)
  })

  it('CLI-3 Ctrl-C ends an import, which says of each line that it may not have arrived', { timeout: 60_000 }, async () => {
    const transport = openRabbit(url)
    await transport.createQueues(['error-i'])
    const line = (id: string): string =>
      savedLine(
        { headers: failureHeaders(id), native: {}, nativeId: id, body: Buffer.from(id), unreadable: undefined },
        { queue: 'error-i', exportedAt: 0 },
      )

    const { code, stderr } = await alarmed(
      ['errors', 'import', 'in.ndjson', '--yes', '--error-queue', 'error-i'],
      ['i1', 'i2', 'i3'].map(line).join('\n'),
    )

    expect(code, stderr).toBe(130)
    expect(stderr.match(/failed: A message for 'error-i' was not confirmed when it was interrupted/g)).toHaveLength(3)
    expect(stderr).toMatch(/nsb errors resume/)
  })

  it('CLI-3 Ctrl-C ends a send that is repeated', { timeout: 60_000 }, async () => {
    await openRabbit(url).createQueues(['Repeated'])

    const { code, stderr } = await alarmed([
      'send',
      'Shop.PlaceOrder',
      '--to',
      'Repeated',
      '--no-validate',
      '--data',
      'OrderId=1',
      '--repeat',
      '100',
    ])

    expect(code, stderr).toBe(130)
  })
})
