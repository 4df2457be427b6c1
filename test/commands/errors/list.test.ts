import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { failureHeaders, nsb, projectWith, putMessage, temporaryFolder } from '../../cli/nsb.ts'

const all = ['12-error-queue', '13-error-queue-deserialization', '15-after-second-handler-failed'] as const

interface Items {
  readonly items: readonly Record<string, unknown>[]
}
const itemsOf = (document: Record<string, unknown>): readonly Record<string, unknown>[] => (document as unknown as Items).items

describe('errors list', () => {
  it('RC-15 shows what a .NET endpoint wrote, newest first, and leaves it there', async () => {
    const { folder } = projectWith(...all)

    const first = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const second = await nsb(['errors', 'list', '--json'], { cwd: folder })

    assert.equal(first.code, 0)
    assert.deepEqual(first.json(), second.json())
    assert.equal(first.json()['schema'], 'nsb.errors.list/1')
    assert.equal(first.json()['total'], 3)
    assert.equal(first.json()['newerArrivals'], 0)
    assert.deepEqual(itemsOf(first.json())[2], {
      uniqueId: 'acc35ddb-8551-43b8-82bc-eb4f2077f70c',
      messageId: '37a16d0f-ac5e-4ae0-8236-b5090005d293',
      kind: 'failure',
      type: 'Shop.Messages.FailingOrder',
      endpoint: 'Shop.Server',
      queue: 'Shop.Server',
      host: 'shop-host',
      failedAt: '2026-11-21T00:21:15.973Z',
      exceptionType: 'System.InvalidOperationException',
      exceptionMessage: 'Order 0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001 cannot be placed: "stock" unknown — é ✓',
      replayed: 0,
    })
  })

  it('E-3 lists a poison message by its kind, and a file that is no JSON by its name', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'hello', { 'NServiceBus.EnclosedMessageTypes': 'A.B' })
    mkdirSync(join(storage, 'error', '.bodies'), { recursive: true })
    writeFileSync(join(storage, 'error', 'broken.metadata.txt'), '{"NServiceBus.MessageId": 7')
    writeFileSync(join(storage, 'error', '.bodies', 'broken.body.txt'), '')

    const failures = await nsb(['errors', 'list', '--json'], { cwd: folder })
    const poison = await nsb(['errors', 'list', '--kind', 'poison', '--json'], { cwd: folder })
    const check = await nsb(['errors', 'list', '--fail-if-any', '--quiet'], { cwd: folder })
    const hints = await nsb(['errors', 'list', '--kind', 'poison'], { cwd: folder })

    assert.equal(failures.json()['total'], 0)
    assert.equal(check.code, 8)
    assert.ok(hints.stderr.includes('nsb errors show'))
    assert.ok(!hints.stderr.includes('--kind poison') && !hints.stderr.includes('nsb errors replay'), hints.stderr)
    assert.deepEqual(
      itemsOf(poison.json())
        .map((item) => `${String(item['kind'])} ${String(item['messageId'])}`)
        .toSorted(),
      ['poison broken', 'poison hello'],
    )
  })

  it('E-9 does not take an acknowledgement for a failure', async () => {
    const { folder, storage } = projectWith()
    putMessage(
      storage,
      'error',
      'a',
      { 'NServiceBus.MessageId': 'a', 'ServiceControl.Retry.Successful': 'x', 'NServiceBus.ControlMessage': 'True' },
      '',
    )

    assert.equal((await nsb(['errors', 'list', '--json'], { cwd: folder })).json()['total'], 0)
    assert.equal((await nsb(['errors', 'list', '--kind', 'ack', '--json'], { cwd: folder })).json()['total'], 1)
  })

  it('says that the queue is empty where nothing ever failed, with exit code 0', async () => {
    const { folder } = projectWith()

    const ended = await nsb(['errors', 'list'], { cwd: folder })

    assert.deepEqual([ended.code, ended.stdout], [0, ''])
    assert.match(ended.stderr, /the error queue is empty/)
  })

  it('selects, counts and limits', async () => {
    const { folder } = projectWith(...all)
    const run = (...words: string[]) => nsb(['errors', 'list', ...words], { cwd: folder })

    assert.deepEqual(
      itemsOf((await run('--type', 'ShipOrder', '--json')).json()).map((item) => item['type']),
      ['Shop.Messages.ShipOrder'],
    )
    assert.equal((await run('--exception', 'System.*', '--count')).stdout, '2\n')
    assert.equal((await run('--limit', '1', '-o', 'ids')).stdout, '51692567-85ab-15a5-4765-b827c6e86762\n')
    assert.equal((await run('--group', 'ac70', '-o', 'ids')).stdout, 'acc35ddb-8551-43b8-82bc-eb4f2077f70c\n')
    assert.equal((await run('acc3', '-o', 'ids')).stdout, 'acc35ddb-8551-43b8-82bc-eb4f2077f70c\n')
  })

  it('E-4 finds the golden failure under the group id of ServiceControl', async () => {
    const { folder } = projectWith('12-error-queue')

    const groups = await nsb(['errors', 'groups', '--json'], { cwd: folder })

    assert.deepEqual(
      itemsOf(groups.json()).map((group) => [group['id'], group['title'], group['count']]),
      [
        [
          'ac70d1ff-e779-66bc-f6fb-e06c53ede351',
          'System.InvalidOperationException: Shop.Handlers.FailingOrderHandler.Handle(FailingOrder message, IMessageHandlerContext context)',
          1,
        ],
      ],
    )
  })

  it('ends with 8 under --fail-if-any, and prints its own document', async () => {
    const { folder } = projectWith('12-error-queue')

    const ended = await nsb(['errors', 'list', '--fail-if-any', '--json'], { cwd: folder })

    assert.equal(ended.code, 8)
    assert.equal(ended.json()['schema'], 'nsb.errors.list/1')
    assert.equal((await nsb(['errors', 'list', '--fail-if-any', '--type', 'Other'], { cwd: folder })).code, 0)
  })

  it('prints table, csv and ndjson with whole values when piped', async () => {
    const { folder } = projectWith('15-after-second-handler-failed')

    const table = await nsb(['errors', 'list'], { cwd: folder })
    const csv = await nsb(['errors', 'list', '-o', 'csv', '--columns', 'id,exception'], { cwd: folder })
    const ndjson = await nsb(['errors', 'list', '-o', 'ndjson'], { cwd: folder })

    assert.equal(
      table.stdout.split('\n')[0],
      'ID                                    FAILED                    TYPE                     ENDPOINT     REPLAYED  EXCEPTION',
    )
    assert.match(table.stdout, /^51692567-85ab-15a5-4765-b827c6e86762 {2}2026-11-21T00:21:21\.026Z/m)
    assert.equal(
      csv.stdout,
      'id,exception\n51692567-85ab-15a5-4765-b827c6e86762,System.InvalidOperationException: Second handler failure 1 of 9\n',
    )
    const lines = ndjson.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      lines.map((line) => line['uniqueId'] ?? line['schema']),
      ['51692567-85ab-15a5-4765-b827c6e86762', 'nsb.summary/1'],
    )
  })

  it('takes several error queues', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a'))
    putMessage(storage, 'other', 'b', failureHeaders('b', { 'NServiceBus.TimeOfFailure': '2026-11-22 00:00:00:000000 Z' }))

    const ended = await nsb(['errors', 'list', '--error-queue', 'error', '--error-queue', 'other', '--json'], { cwd: folder })
    const fromEnvironment = await nsb(['errors', 'list', '--json'], { cwd: folder, env: { NSB_ERROR_QUEUE: 'other' } })

    assert.deepEqual(
      itemsOf(ended.json()).map((item) => [item['messageId'], item['errorQueue']]),
      [
        ['b', 'other'],
        ['a', 'error'],
      ],
    )
    assert.equal(fromEnvironment.json()['queue'], 'other')
  })

  it('refuses an id that means several messages with 2, an unknown one with 4', async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'a', failureHeaders('a', { 'ServiceControl.Retry.UniqueMessageId': 'c118aaaa' }))
    putMessage(storage, 'error', 'b', failureHeaders('b', { 'ServiceControl.Retry.UniqueMessageId': 'c118bbbb' }))

    const ambiguous = await nsb(['errors', 'show', 'c118', '--json'], { cwd: folder })
    const unknown = await nsb(['errors', 'show', 'ffff', '--json'], { cwd: folder })

    assert.equal(ambiguous.code, 2)
    assert.match(ambiguous.stderr, /c118aaaa\n {2}c118bbbb/)
    assert.deepEqual([unknown.code, (unknown.json()['error'] as { code: string }).code], [4, 'NSB_MESSAGE_NOT_FOUND'])
  })

  it('E-44 escapes control characters of a message in human output, and keeps them in JSON', async () => {
    const { folder, storage } = projectWith()
    const evil = 'x\u001b]0;owned\u0007\u202Etxt.exe\nnext'
    putMessage(
      storage,
      'error',
      'a',
      failureHeaders('a\u001b[2J', { 'NServiceBus.ExceptionInfo.Message': evil, 'NServiceBus.ProcessingEndpoint': 'S\u001b[31m' }),
      `{"a":"\u001b[2J"}`,
    )

    const listed = await nsb(['errors', 'list'], { cwd: folder })
    const id = (await nsb(['errors', 'list', '-o', 'ids'], { cwd: folder })).stdout.trim()
    const shown = await nsb(['errors', 'show', id, '--headers', '--stack'], { cwd: folder })
    const json = await nsb(['errors', 'list', '--json'], { cwd: folder })

    for (const output of [listed.stdout, listed.stderr, shown.stdout, shown.stderr])
      assert.ok(!['\u001b', '\u0007', '\u202e'].some((character) => output.includes(character)), output)
    assert.match(shown.stdout, /x\\x1b\]0;owned\\x07\\u202etxt\.exe/)
    assert.equal(itemsOf(json.json())[0]?.['exceptionMessage'], evil)
  })

  it('says how to name a storage folder where there is none', async () => {
    const ended = await nsb(['errors', 'list', '--json'], { cwd: temporaryFolder() })

    assert.equal(ended.code, 2)
    assert.equal((ended.json()['error'] as { code: string }).code, 'NSB_NO_STORAGE')
  })
})
