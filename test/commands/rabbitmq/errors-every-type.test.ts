import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fieldsOf, sized, tableOf } from '../../../src/message/field-table.ts'
import { type PropertyList, readPropertyList, writePropertyList } from '../../../src/message/property-list.ts'
import { failureHeaders } from '../../cli/nsb.ts'
import { openWire } from '../../interop/rabbitmq/wire.ts'
import { anyFields, anyProperties } from '../../property/any-properties.ts'
import { inCampaign } from '../../property/runs.ts'
import { makeErrorWorld } from '../../support/error-world.ts'
import { type RawMessage, takeRaw } from '../../support/raw-properties.ts'

// Issue 14: what is archived must come back. Compared are the bytes that the broker sends.

const messages = inCampaign ? 400 : 60
const seed = Date.now()

const nameOf = ({ name }: { readonly name: Buffer }): string => name.toString('latin1')
const field = (name: string, value: string) => ({ name: Buffer.from(name), value: sized('S', Buffer.from(value)) })

/** A failure of `Sales` with fields and properties of every type. A login name has to be the sender's. */
function failures(): readonly PropertyList[] {
  const fields = fc.sample(anyFields, { numRuns: messages, seed })
  return fc.sample(anyProperties, { numRuns: messages, seed }).map((list, index) => {
    const foreign = (fields[index] ?? []).filter((each) => !['x-death', 'NServiceBus.CorrelationId'].includes(nameOf(each)))
    const own = Object.entries(failureHeaders(`m${index}`)).map(([name, value]) => field(name, value))
    const failure: PropertyList = new Map([...list].filter(([name]) => !mirrored.has(name)))
    failure.set('headers', tableOf([...own, ...foreign]))
    if (failure.has('userId')) failure.set('userId', Buffer.from('guest'))
    if (failure.has('deliveryMode')) failure.set('deliveryMode', Buffer.of(1 + (index % 2)))
    return failure
  })
}

/** They are headers of NServiceBus too, and a copy has them in both places. */
const mirrored = new Set(['contentType', 'correlationId', 'replyTo', 'type'])

async function put(url: string, queue: string, lists: readonly PropertyList[]): Promise<void> {
  const wire = await openWire(url)
  for (const [index, list] of lists.entries()) wire.publishFrames('', queue, writePropertyList(list), Buffer.from(`{"n":${index}}`))
  await expect.poll(async () => (await wire.channel.checkQueue(queue)).messageCount, { timeout: 20_000 }).toBe(lists.length)
  await wire.close()
}

/** Without what the queue adds, and what a message that is moved does not take along. */
function comparable({ body, properties }: RawMessage): { readonly body: string; readonly properties: string } {
  const list = readPropertyList(properties)
  list.delete('expiration')
  const fields = fieldsOf(list.get('headers') ?? Buffer.alloc(0)).filter((each) => nameOf(each) !== 'x-delivery-count')
  return { body, properties: writePropertyList(list.set('headers', tableOf(fields))).toString('hex') }
}

/** The fields that nothing but their sender has put there; a quorum queue sorts them where it adds its count. */
function foreignFields({ body, properties }: RawMessage): { readonly body: string; readonly fields: readonly string[] } {
  const fields = fieldsOf(readPropertyList(properties).get('headers') ?? Buffer.alloc(0))
  const ours = /^(?:NServiceBus\.|Nsb\.|ServiceControl\.|Seen$|x-delivery-count$)/
  return {
    body,
    fields: fields
      .filter((each) => !ours.test(nameOf(each)))
      .map(({ name, value }) => `${name.toString('hex')} ${value.toString('hex')}`)
      .toSorted(),
  }
}

const byBody = (a: { readonly body: string }, b: { readonly body: string }): number => a.body.localeCompare(b.body)

describe.each(['classic', 'quorum'] as const)('headers and properties of every type of AMQP in a %s queue', (kind) => {
  it(`E-36 come back from archive and export with every byte (seed ${seed})`, async () => {
    const { errors, host, shop } = await makeErrorWorld({ kind })
    await put(host.url, errors.name, failures())
    const before = (await takeRaw(host.url, errors.name)).map(comparable)
    await put(host.url, errors.name, failures())

    const exported = await shop.run('errors', 'export', '--file', 'e.ndjson')
    const archived = await shop.run('errors', 'archive', '--all', '--to-file', 'a.ndjson', '--yes')
    const fromArchive = await shop.run('errors', 'import', 'a.ndjson', '--yes')
    const second = (await takeRaw(host.url, errors.name)).map(comparable)
    const fromExport = await shop.run('errors', 'import', 'e.ndjson', '--yes')
    const third = (await takeRaw(host.url, errors.name)).map(comparable)

    expect([exported.code, archived.code, fromArchive.code, fromExport.code], fromArchive.stderr).toEqual([0, 0, 0, 0])
    expect(before).toHaveLength(messages)
    expect(second.toSorted(byBody)).toEqual(before.toSorted(byBody))
    expect(third.toSorted(byBody)).toEqual(before.toSorted(byBody))
  })

  it.each([
    ['replay', []],
    ['staged replay', ['--staged']],
  ])(`E-20 come to their target by %s with every byte (seed ${seed})`, async (_, more) => {
    const { errors, host, sales, shop } = await makeErrorWorld({ kind })
    await put(host.url, errors.name, failures())
    const before = (await takeRaw(host.url, errors.name)).map(foreignFields)
    await put(host.url, errors.name, failures())

    const replayed = await shop.run('errors', 'replay', '--all', '--yes', ...more)

    expect(replayed.code, replayed.stderr).toBe(0)
    expect((await takeRaw(host.url, sales.name)).map(foreignFields).toSorted(byBody)).toEqual(before.toSorted(byBody))
  })

  it(`E-34 are in an edited copy with every byte but those that were edited (seed ${seed})`, async () => {
    const { errors, host, sales, shop } = await makeErrorWorld({ kind })
    const some = failures().slice(0, 3)
    await put(host.url, errors.name, some)
    const before = (await takeRaw(host.url, errors.name)).map(foreignFields)
    await put(host.url, errors.name, some)

    for (const index of some.keys()) {
      const edited = await shop.run('errors', 'edit', `m${index}`, '--set-header', 'Seen=yes', '--yes')
      expect(edited.code, edited.stderr).toBe(0)
    }

    expect((await takeRaw(host.url, sales.name)).map(foreignFields).toSorted(byBody)).toEqual(before.toSorted(byBody))
  })

  it('E-36 come back from an archive where they take up all that a broker has room for', async () => {
    const { errors, host, shop } = await makeErrorWorld({ kind })
    const own = Object.entries(failureHeaders('m0')).map(([name, value]) => field(name, value))
    await put(host.url, errors.name, [new Map([['headers', tableOf([...own, field('Large', 'x'.repeat(129_500))])]])])

    const archived = await shop.run('errors', 'archive', '--all', '--to-file', 'a.ndjson', '--yes')
    const imported = await shop.run('errors', 'import', 'a.ndjson', '--yes')

    expect([archived.code, imported.code], imported.stderr).toEqual([0, 0])
    const [back] = await takeRaw(host.url, errors.name)
    expect(back?.properties.includes('x'.repeat(129_500))).toBe(true)
    expect(readFileSync(join(shop.folder, 'a.ndjson'), 'utf8')).not.toContain('"wire"')
  })
})
