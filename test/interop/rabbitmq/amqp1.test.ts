import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, inject, it, onTestFinished } from 'vitest'
import { brokerShop } from '../../support/broker-shop.ts'
import { isAtLeast } from '../../support/broker-version.ts'
import { ErrorQueue, type Lying } from '../../support/error-queue.ts'
import { pluginIsInstalled } from '../../support/rabbitmq-installation.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

// Newer brokers speak AMQP 1.0 themselves, older ones have a plugin, which translates otherwise.
const hasAmqp1 = isAtLeast(4) || pluginIsInstalled('rabbitmq_amqp1_0')
const ids = ['data', 'bare', 'value', 'map', 'sequence', 'annotated']

async function sendFromAmqp1(host: VirtualHost, queue: string): Promise<void> {
  const address = isAtLeast(4) ? `/queues/${queue}` : `/amq/queue/${queue}`
  const script = join(import.meta.dirname, 'scripts/send-amqp1.mjs')
  await promisify(execFile)(process.execPath, [script, String(inject('broker').port), host.name, address], { timeout: 30_000 })
}

const byId = (messages: readonly Lying[]): Map<unknown, Lying> =>
  new Map(messages.map((message) => [message.properties['messageId'], message]))

describe('messages that clients of AMQP 1.0 have sent', () => {
  it('are listed, shown and sent back byte for byte with their properties, whatever their sections are', { timeout: 120_000 }, async ({
    skip,
  }) => {
    if (!hasAmqp1) return skip('this broker has no plugin for AMQP 1.0')
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const [errors, target] = [
      await ErrorQueue.make(host, 'error', { kind: 'quorum' }),
      await ErrorQueue.make(host, 'Sales', { kind: 'quorum' }),
    ]
    const shop = brokerShop(host)
    await sendFromAmqp1(host, 'error')
    const sent = byId(await errors.drain())
    await sendFromAmqp1(host, 'error')

    const listed = await shop.run('errors', 'list', '--kind', 'poison', '--json')
    const shown = await shop.run('errors', 'show', 'value', '--refresh', '--json')
    const replayed = await shop.run('errors', 'replay', '--kind', 'poison', '--to', 'Sales', '--same-native-id', '--yes', '--json')

    expect([listed.code, shown.code, replayed.code], listed.stderr + shown.stderr + replayed.stderr).toEqual([0, 0, 0])
    const items = listed.json()['items'] as readonly { readonly messageId: string; readonly type?: string }[]
    expect(items.map(({ messageId }) => messageId).toSorted()).toEqual(ids.toSorted())
    // The property tells how the body is encoded, and not what the message is.
    expect(items.flatMap(({ type }) => type ?? [])).toEqual([])
    expect(shown.json()).toMatchObject({ items: [{ messageId: 'value', body: { encoding: 'base64' } }] })
    const back = byId(await target.drain())
    expect(new Set(back.keys())).toEqual(new Set(ids))
    for (const id of ids) {
      const [before, after] = [sent.get(id), back.get(id)]
      expect(after?.body, id).toBe(before?.body)
      for (const name of ['type', 'contentType', 'priority'] as const)
        expect(after?.properties[name], `${id}: ${name}`).toBe(before?.properties[name])
      expect(after?.headers, id).toMatchObject(before?.headers ?? {})
    }
    expect(back.get('value')?.properties['type']).toBe('amqp-1.0')
  })

  it('reach a handler when they have data, and the error queue when they have values', { timeout: 120_000 }, async ({ skip }) => {
    if (!hasAmqp1) return skip('this broker has no plugin for AMQP 1.0')
    const host = await makeVirtualHost()
    onTestFinished(() => host.remove())
    const shop = brokerShop(host)
    const run = shop.start('run', '--no-retries', '--log', 'json')
    await expect.poll(() => run.stdout.includes('"event":"ready"') || run.stderr, { timeout: 20_000 }).toBe(true)

    await sendFromAmqp1(host, 'Shop')

    // None of them says its type, so that no handler is found for any; what counts is that the endpoint goes on and loses none.
    const errors = ErrorQueue.open(host, 'error')
    await expect.poll(() => errors.depth(), { timeout: 20_000 }).toBe(ids.length)
    run.kill('SIGINT')
    expect(await run.ended, run.stderr).toBe(130)
    expect(new Set(byId(await errors.drain()).keys())).toEqual(new Set(ids))
  })
})
