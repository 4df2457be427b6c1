import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { failureHeaders } from '../../cli/nsb.ts'
import { fieldTable, headerFrame, longString, openWire } from '../../interop/rabbitmq/wire.ts'
import type { ErrorQueue } from '../../support/error-queue.ts'
import { type ErrorWorld, makeErrorWorld } from '../../support/error-world.ts'

/** A failure, or without a message id a poison message, with tables in tables that no client of ours could write or read. */
async function putNested({ errors, host }: ErrorWorld, id: string, levels: number, isPoison = false): Promise<void> {
  const wire = await openWire(host.url)
  let nested = fieldTable([])
  for (let level = 0; level < levels; level++) nested = fieldTable([['a', 'F', nested]])
  const texts = Object.entries(isPoison ? {} : failureHeaders(id)).map(([name, value]) => [name, 'S', longString(value)] as const)
  const before = await errors.depth()
  wire.publishFrames('', errors.name, headerFrame(fieldTable([...texts, ['Nested', 'F', nested]]), id), Buffer.from(id))
  await expect.poll(() => errors.depth(), { timeout: 20_000 }).toBe(before + 1)
  await wire.close()
}

const bodiesOf = async (queue: ErrorQueue): Promise<readonly string[]> => (await queue.drain()).map(({ body }) => body)

// Three that amqplib reads, the last with hardly any stack left, and one that it cannot.
const depths = { m1: 65, m2: 2000, m3: 3500, m4: 6000 }

describe('an error queue with headers nested thousands of levels deep', () => {
  it('E-10 E-38 is listed, shown, exported and given back', async () => {
    const world = await makeErrorWorld()
    for (const [id, levels] of Object.entries(depths)) await putNested(world, id, levels)
    await putNested(world, 'p1', 6000, true)
    const { errors, shop } = world

    const listed = await shop.run('errors', 'list', '-o', 'csv', '--columns', 'message', '--no-header')
    const shown = await shop.run('errors', 'show', 'm4', '--headers')
    const exported = await shop.run('errors', 'export', '--kind', 'failure', '--kind', 'poison', '--file', 'out.ndjson')

    expect([listed.code, shown.code, exported.code], listed.stderr + shown.stderr + exported.stderr).toEqual([0, 0, 0])
    expect(listed.stdout.trim().split('\n').toSorted()).toEqual(Object.keys(depths))
    expect(shown.stdout).toMatch(/Nested: (a=){64}…/)
    const lines = readFileSync(join(shop.folder, 'out.ndjson'), 'utf8').trim().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { messageId: string }).messageId).toSorted()).toEqual([...Object.keys(depths), 'p1'])
    // The plain client of the tests could not take them.
    expect(await errors.depth()).toBe(lines.length)
  })

  it('E-20 E-36 is archived, brought back and replayed', async () => {
    const world = await makeErrorWorld()
    for (const [id, levels] of Object.entries(depths)) await putNested(world, id, levels)
    const { errors, sales, shop } = world

    const archived = await shop.run('errors', 'archive', '--all', '--to-file', 'a.ndjson', '--yes')
    const between = await errors.depth()
    const imported = await shop.run('errors', 'import', 'a.ndjson', '--yes')
    const replayed = await shop.run('errors', 'replay', '--all', '--yes')

    expect([archived.code, between, imported.code, replayed.code], archived.stderr + imported.stderr + replayed.stderr).toEqual([
      0, 0, 0, 0,
    ])
    const copies = await sales.drain()
    expect(copies.map(({ body }) => body)).toEqual(Object.keys(depths))
    for (const { headers } of copies) expect(JSON.stringify(headers['Nested'])).toMatch(/^(\{"a":){64}"…"\}{64}$/)
  })

  it('E-34 is edited', async () => {
    const world = await makeErrorWorld()
    await putNested(world, 'm1', 6000)
    await putNested(world, 'm2', 3500)
    writeFileSync(join(world.shop.folder, 'body.txt'), '{"OrderId":"2"}')

    const first = await world.shop.run('errors', 'edit', 'm1', '--set-header', 'seen=yes', '--yes')
    const second = await world.shop.run('errors', 'edit', 'm2', '--set-header', 'seen=yes', '--yes')

    expect([first.code, second.code], first.stderr + second.stderr).toEqual([0, 0])
    expect(await bodiesOf(world.sales)).toEqual(['m1', 'm2'])
    expect(await world.errors.depth()).toBe(0)
  })
})
