import { strict as assert } from 'node:assert'
import { lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { EventType, OutgoingMessage } from '../../../src/transport/transport.ts'
import {
  contents,
  depthIs,
  filesIn,
  hasCode,
  holdOptions,
  look,
  message,
  openLearning,
  receive,
  textOf,
  until,
  writeByHand,
} from './support.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { noFiles, tooLarge } from '../../support/strange-files.ts'

const metadata = '{"NServiceBus.MessageId":"strange","NServiceBus.FailedQ":"sales"}'
/** What the last segment of a path is called. */
const nameOf = (error: unknown): string =>
  /'([^']*)'/
    .exec(String((error as Error).message))?.[1]
    ?.split('/')
    .at(-1) ?? ''

/** A storage with one good message in `sales`, and a place for a strange one. */
async function storageWith(place: 'metadata' | 'body', put: (path: string) => void | Promise<void>): Promise<string> {
  const storage = join(tempFolder(), 'storage')
  mkdirSync(join(storage, 'sales/.bodies'), { recursive: true })
  const sender = openLearning(storage)
  await sender.dispatch([message('good', 'sales')])
  await sender.close()
  if (place === 'metadata') {
    writeFileSync(join(storage, 'sales/.bodies/strange.body.txt'), 'its body')
    await put(join(storage, 'sales/strange.metadata.txt'))
  } else {
    writeFileSync(join(storage, 'sales/strange.metadata.txt'), metadata)
    await put(join(storage, 'sales/.bodies/strange.body.txt'))
  }
  return storage
}

describe('instead of a metadata file', () => {
  it.each([...Object.entries(noFiles), ['a file of 600 MiB', tooLarge] as const])(
    '%s is named once and left where it is, and the other message is handled',
    async (_, put) => {
      const storage = await storageWith('metadata', put)
      const before = lstatSync(join(storage, 'sales/strange.metadata.txt'))

      const seen = await receive(openLearning(storage), 'sales')
      await until('the other message is handled and the strange one named', () => seen.deliveries.length === 1 && seen.errors.length === 1)
      await seen.stop()

      assert.deepEqual(seen.deliveries.map(textOf), ['good'])
      hasCode('NSB_FILE_LEFT_ALONE')(seen.errors[0])
      assert.equal(nameOf(seen.errors[0]), 'strange.metadata.txt')
      assert.equal(lstatSync(join(storage, 'sales/strange.metadata.txt')).ino, before.ino)
      assert.ok(!readdirSync(storage).includes('error'))
    },
  )

  it.each(Object.entries(noFiles))('%s is no message: it is not counted, listed or purged, but named', async (_, put) => {
    const storage = await storageWith('metadata', put)
    const warnings: string[] = []
    const transport = openLearning(storage, { warn: (warning) => warnings.push(warning) })

    assert.equal((await transport.inspect('sales'))?.depth, 1)
    assert.deepEqual(await contents(transport, 'sales'), ['good'])
    assert.equal(await transport.purge('sales'), 1)

    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /strange\.metadata\.txt' is .*left where it is/)
    assert.ok(lstatSync(join(storage, 'sales/strange.metadata.txt')))
  })

  it('a file of 600 MiB is shown as what it is, and nobody takes it away', async () => {
    const storage = await storageWith('metadata', tooLarge)
    const transport = openLearning(storage)

    const held = await transport.hold('sales', holdOptions())
    const errors: unknown[] = []
    for await (const page of held.pages())
      for (const each of page) await held.consume(each, []).catch((error: unknown) => errors.push([each.nativeId, each.unreadable, error]))
    await held.giveBack()

    const [[nativeId, reason, error]] = errors as [[string, string, unknown]]
    assert.equal(nativeId, 'strange')
    assert.match(reason, /has 629145600 bytes/)
    hasCode('NSB_FILE_LEFT_ALONE')(error)
    assert.equal((await transport.inspect('sales'))?.depth, 1)
  })

  it('one that is nested deep, or long, is one poison message with its raw text, and the other is handled', async () => {
    const texts = [
      '['.repeat(20_000) + ']'.repeat(20_000),
      `{"A":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      `{"A":${'{"b":'.repeat(20_000)}1${'}'.repeat(20_000)}}`,
      `{"${'n'.repeat(100_000)}":1}`,
    ]
    const storage = await storageWith('metadata', () => undefined)
    for (const [index, text] of texts.entries()) writeByHand(storage, 'sales', `strange${index}`, text, 'its body')
    const transport = openLearning(storage)

    const seen = await receive(transport, 'sales')
    await depthIs(transport, 'error', texts.length)
    await seen.stop()

    assert.deepEqual(seen.deliveries.map(textOf), ['good'])
    const poison = (await look(transport, 'error')).flat()
    assert.deepEqual(poison.map(textOf).toSorted(), texts.toSorted())
    for (const { headers } of poison) assert.ok((headers['NServiceBus.ExceptionInfo.Message'] ?? '').length < 1000)
  })
})

describe('instead of a body file', () => {
  it('what is no file makes one poison message that says so, and stays; the other message is handled', async () => {
    const storage = await storageWith('metadata', () => undefined)
    const kinds = Object.entries(noFiles)
    for (const [index, [, put]] of kinds.entries()) {
      writeByHand(storage, 'sales', `strange${index}`, metadata)
      await put(join(storage, `sales/.bodies/strange${index}.body.txt`))
    }
    const transport = openLearning(storage)

    const seen = await receive(transport, 'sales')
    await depthIs(transport, 'error', kinds.length)
    await seen.stop()

    assert.deepEqual(seen.deliveries.map(textOf), ['good'])
    const said = (await look(transport, 'error')).flat().map(({ body, headers }) => {
      assert.equal(body.length, 0)
      assert.equal(headers['NServiceBus.MessageId'], 'strange')
      return headers['NServiceBus.ExceptionInfo.Message'] ?? ''
    })
    for (const index of kinds.keys()) {
      assert.ok(said.some((text) => text.includes(`where its body file should be, '.bodies/strange${index}.body.txt'`)))
      assert.ok(lstatSync(join(storage, `sales/.bodies/strange${index}.body.txt`)))
    }
    assert.deepEqual(readdirSync(join(storage, 'sales/.committed')), [])
    assert.deepEqual(seen.errors, [])
  })

  it.each(Object.entries(noFiles))('%s is shown as unreadable, with and without bodies', async (_, put) => {
    const transport = openLearning(await storageWith('body', put))

    for (const withoutBodies of [false, true]) {
      const strange = (await look(transport, 'sales', { withoutBodies })).flat().find(({ nativeId }) => nativeId === 'strange')
      assert.match(strange?.unreadable ?? '', /where its body file should be/)
    }
  })

  it('a file of 600 MiB is named and left, with its message, and the other is handled', async () => {
    const storage = await storageWith('body', tooLarge)

    const seen = await receive(openLearning(storage), 'sales')
    await until('it is named', () => seen.deliveries.length === 1 && seen.errors.length === 1)
    await seen.stop()

    assert.equal(nameOf(seen.errors[0]), 'strange.body.txt')
    assert.deepEqual(filesIn(join(storage, 'sales')), ['.bodies/strange.body.txt', 'strange.metadata.txt'])
  })
})

describe('in the folders of a queue', () => {
  const before = '20200101000000'

  it.each(Object.entries(noFiles).filter(([name]) => name !== 'a folder'))(
    '%s where a transaction, a time of delayed messages or one of them should be keeps nothing else waiting',
    async (_, put) => {
      const storage = await storageWith('metadata', (path) => writeFileSync(path, metadata))
      for (const stage of ['.pending', '.committed', `.delayed/${before}`, '.delayed'])
        mkdirSync(join(storage, 'sales', stage), { recursive: true })
      await put(join(storage, 'sales/.pending/01234567-0000-4000-8000-000000000000'))
      await put(join(storage, 'sales/.committed/01234567-0000-4000-8000-000000000000'))
      await put(join(storage, 'sales/.delayed/20200101000001'))
      await put(join(storage, 'sales/.delayed', before, 'strange.metadata.txt'))
      writeByHand(storage, 'sales', 'due', metadata, 'due')
      const waiting = openLearning(storage)
      await waiting.dispatch([message('delayed', 'sales', { deliverAt: new Date(Date.now() - 5000) })])

      const seen = await receive(openLearning(storage), 'sales')
      await until('all messages are handled', () => seen.deliveries.length === 4)
      await until('all four are named', () => seen.errors.length === 4)
      await seen.stop()

      for (const error of seen.errors) hasCode('NSB_FILE_LEFT_ALONE')(error)
      assert.deepEqual(await contents(waiting, 'sales'), [])
    },
  )

  it('a link to a folder elsewhere is not followed, whatever it is in the place of', async () => {
    const storage = await storageWith('metadata', (path) => writeFileSync(path, metadata))
    const elsewhere = tempFolder()
    writeFileSync(join(elsewhere, 'precious.metadata.txt'), metadata)
    for (const stage of ['.pending', '.committed', '.delayed']) mkdirSync(join(storage, 'sales', stage))
    for (const place of ['.pending/01234567-0000-4000-8000-000000000000', '.committed/01234567', `.delayed/${before}`])
      symlinkSync(elsewhere, join(storage, 'sales', place))
    symlinkSync(elsewhere, join(storage, 'other'))
    mkdirSync(join(storage, 'third'))
    symlinkSync(elsewhere, join(storage, 'third/.pending'))
    const transport = openLearning(storage)

    const seen = await receive(transport, 'sales')
    await until('the others are handled', () => seen.deliveries.length === 2)
    await seen.stop()
    for (const queue of ['other', 'third']) {
      await assert.rejects(transport.hold(queue, holdOptions()), hasCode('NSB_FILE_LEFT_ALONE'))
      await assert.rejects(transport.purge(queue), hasCode('NSB_FILE_LEFT_ALONE'))
      await assert.rejects(receive(transport, queue), hasCode('NSB_FILE_LEFT_ALONE'))
    }

    assert.deepEqual(readdirSync(elsewhere), ['precious.metadata.txt'])
  })

  it('a marker or a count that is no file does not stop anybody', async () => {
    const storage = await storageWith('metadata', (path) => writeFileSync(path, metadata))
    mkdirSync(join(storage, '.nsb/owners'), { recursive: true })
    mkdirSync(join(storage, '.nsb/attempts/sales'), { recursive: true })
    writeFileSync(join(storage, '.nsb/owners/abcdef01'), JSON.stringify({ pid: 2 ** 30, host: hostname() }))
    const folder = join(storage, 'sales/.committed/abcdef01-0000-4000-8000-000000000000')
    mkdirSync(folder, { recursive: true })
    mkdirSync(join(storage, 'sales/.pending/01234567-0000-4000-8000-000000000000'), { recursive: true })
    const pipe = noFiles['a named pipe']
    await pipe?.(join(storage, '.nsb/owners/01234567'))
    await pipe?.(join(folder, 'targets.json'))
    await pipe?.(join(storage, '.nsb/attempts/sales/strange.metadata.txt'))

    const seen = await receive(openLearning(storage), 'sales', async ({ attempt }) =>
      attempt === 1 ? { kind: 'putBack' } : { kind: 'consume', outgoing: [] },
    )
    await until('both are handled', () => seen.deliveries.length >= 4)
    await seen.stop()

    assert.deepEqual(filesIn(join(storage, 'sales')), [])
  })
})

describe('instead of a subscription', () => {
  const event: EventType = { fullName: 'Shop.OrderPlaced', kind: 'class', base: undefined, interfaces: [] }
  const published: OutgoingMessage = { id: 'm', headers: {}, body: new Uint8Array(), to: { event } }

  it.each(Object.entries(noFiles))('%s is passed by with a warning, and the other subscribers get their copies', async (_, put) => {
    const storage = await storageWith('metadata', (path) => writeFileSync(path, metadata))
    const warnings: string[] = []
    const transport = openLearning(storage, { warn: (warning) => warnings.push(warning) })
    await transport.subscribe({ endpoint: 'Billing', queue: 'billing' }, event)
    await put(join(storage, '.events/Shop.OrderPlaced/strange.subscription'))

    for (let time = 0; time < 2; time++) await transport.dispatch([published])

    assert.equal((await transport.inspect('billing'))?.depth, 2)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /strange\.subscription' is .*no subscription/)
  })

  it('a file that names no queue is refused by its name, since its subscriber would get no copy', async () => {
    const storage = await storageWith('metadata', (path) => writeFileSync(path, metadata))
    mkdirSync(join(storage, '.events/Shop.OrderPlaced'), { recursive: true })
    writeFileSync(join(storage, '.events/Shop.OrderPlaced/strange.subscription'), '../elsewhere')

    const publishing = openLearning(storage).dispatch([published])

    await assert.rejects(publishing, (error: Error) => /strange\.subscription/.test(error.message) && hasCode('NSB_BAD_ADDRESS')(error))
  })
})
