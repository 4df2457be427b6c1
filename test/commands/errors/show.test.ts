import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { type Ended, failureHeaders, nsb, projectWith, putMessage } from '../../cli/nsb.ts'

interface World {
  readonly put: (headers: Readonly<Record<string, string>>, body?: string) => void
  readonly show: (...flags: string[]) => Promise<Ended>
}

/** A project with one message in its error queue, which is shown. */
function world(): World {
  const { folder, storage } = projectWith()
  let id = ''
  return {
    put(headers, body) {
      id = headers['ServiceControl.Retry.UniqueMessageId'] ?? headers['NServiceBus.MessageId'] ?? 'm1'
      putMessage(storage, 'error', 'file', headers, body)
    },
    show: (...flags) => nsb(['errors', 'show', id, ...flags], { cwd: folder }),
  }
}

const itemOf = (ended: Ended): Record<string, unknown> => (ended.json() as { items: Record<string, unknown>[] }).items[0] ?? {}
const afterBody = (stdout: string): string[] => stdout.slice(stdout.indexOf('\nbody ')).trimEnd().split('\n').slice(2)

describe('errors show', () => {
  it('E-39 shows what a .NET endpoint wrote: place, own frames, causes, origin and body', async () => {
    const { folder } = projectWith('12-error-queue')

    const shown = await nsb(['errors', 'show', 'acc3'], { cwd: folder })

    assert.equal(
      shown.stdout,
      `Shop.Messages.FailingOrder                        acc35ddb-8551-43b8-82bc-eb4f2077f70c
failed      2026-11-21 00:21:15Z in Shop.Server (host shop-host), queue Shop.Server
handler     Shop.Handlers.FailingOrderHandler
exception   System.InvalidOperationException: Order 0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001 cannot be placed: "stock" unknown — é ✓
              at Shop.Handlers.FailingOrderHandler.Handle(…) in /src/Peer/Handlers.cs:line 73
              at Shop.ReceiveTrace.Invoke(…) in /src/Peer/Behaviors.cs:line 20
because     System.IO.IOException: Reading the stock level failed.
              at Shop.Handlers.FailingOrderHandler.Handle(…) in /src/Peer/Handlers.cs:line 62
because     System.TimeoutException: The warehouse did not answer within 00:00:05.
              at Shop.Handlers.FailingOrderHandler.Handle(…) in /src/Peer/Handlers.cs:line 58
              … 12 framework frames (--stack for all)
sent        2026-11-21 00:21:11Z
sent by     Shop.Server       conversation f7c4d92f-df5a-431d-ade0-b5090005d294
message id  37a16d0f-ac5e-4ae0-8236-b5090005d293
body        application/json, 62 B
              {
                "OrderId": "0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001",
                "Note": null
              }
`,
    )
    assert.match(shown.stderr, /^Next: nsb errors replay acc35ddb --wait/)
  })

  it('gives all of it as JSON, by the message id as well, and the bytes with --raw', async () => {
    const { folder } = projectWith('12-error-queue')

    const raw = await nsb(['errors', 'show', 'acc3', '--raw'], { cwd: folder })
    const item = itemOf(await nsb(['errors', 'show', '37a16d0f-ac5e-4ae0-8236-b5090005d293', '--json'], { cwd: folder }))

    assert.equal(raw.stdout, '{"OrderId":"0f4c3a52-6d1e-4b7a-9c58-2e7f81d9a001","Note":null}')
    assert.deepEqual(item['body'], { encoding: 'utf8', contentType: 'application/json', data: raw.stdout })
    assert.equal((item['headers'] as Record<string, string> | undefined)?.['NServiceBus.FailedQ'], 'Shop.Server')
    assert.equal(item['handler'], 'Shop.Handlers.FailingOrderHandler')
    assert.deepEqual(item['causes'], [
      'System.IO.IOException: Reading the stock level failed.',
      'System.TimeoutException: The warehouse did not answer within 00:00:05.',
    ])
  })

  it('tells what sent it, and what was done with it before', async () => {
    const { put, show } = world()
    put(
      failureHeaders('m1', {
        'NServiceBus.RelatedTo': 'b7',
        'NServiceBus.OriginatingEndpoint': 'Web',
        'NServiceBus.OriginatingMachine': 'web-2',
        'NServiceBus.ConversationId': 'f7c4',
        'Nsb.Replay.Count': '2',
        'Nsb.Replay.At': '2026-11-21 01:00:00:000000 Z',
        'Nsb.Replay.Operation': '01JD3K',
        'ServiceControl.Retry.UniqueMessageId': 'c1186253',
        'ServiceControl.EditOf': 'acc35ddb',
      }),
    )

    const { stdout } = await show()
    const item = itemOf(await show('--json'))

    assert.match(stdout, /^caused by {3}message b7 from Web {7}conversation f7c4$/m)
    assert.match(stdout, /^replayed {4}2×, the last time 2026-11-21 01:00:00Z, operation 01JD3K$/m)
    assert.match(stdout, /^edit of {5}acc35ddb$/m)
    assert.deepEqual(
      [item['replayed'], item['replayedAt'], item['replayOperation'], item['editOf']],
      [2, '2026-11-21T01:00:00.000Z', '01JD3K', 'acc35ddb'],
    )
  })

  it('says when ServiceControl has retried it', async () => {
    const { put, show } = world()
    put(failureHeaders('m1', { 'ServiceControl.Retry.UniqueMessageId': 'c1186253', 'ServiceControl.Retry.BatchId': '7' }))

    assert.match((await show()).stdout, /^retried {5}by ServiceControl$/m)
  })

  it('hides the frames of frameworks, and shows them with --stack', async () => {
    const { put, show } = world()
    put(
      failureHeaders('m1', {
        'NServiceBus.ExceptionInfo.StackTrace': [
          'Node.Error: no stock',
          '   at Shop.Own.handle() in /app/src/own.ts:line 9',
          '   at Other.run() in /app/node_modules/other/index.js:line 1',
          '   at nsbus.invoke() in /lib/nsbus.js:line 1',
          '   at Module.run() in node:internal/modules/run_main:line 1',
          '   at Microsoft.Extensions.Host.Run(Object x)',
          '   at System.Threading.Tasks.Task.Run()',
        ].join('\n'),
      }),
    )

    const folded = (await show()).stdout
    const whole = (await show('--stack')).stdout

    assert.match(folded, /^ {14}at Shop\.Own\.handle\(\) in \/app\/src\/own\.ts:line 9\n {14}… 5 framework frames \(--stack for all\)$/m)
    assert.match(whole, /Microsoft\.Extensions\.Host\.Run\(Object x\)/)
    assert.ok(!whole.includes('framework frames'))
  })

  it('E-7 E-44 survives a stack of 1 MiB on one line, and texts that would steer a terminal', async () => {
    const { put, show } = world()
    const evil = '\u001b]0;owned\u0007\u202E\u2066\u009b2J'
    put(
      failureHeaders('m1', {
        'NServiceBus.EnclosedMessageTypes': `Shop.${evil}`,
        'NServiceBus.ProcessingEndpoint': evil,
        'NServiceBus.ExceptionInfo.ExceptionType': evil,
        'NServiceBus.ExceptionInfo.Message': `${evil}\n${' '.repeat(100_000)}${evil}`,
        'NServiceBus.ExceptionInfo.StackTrace': `   at ${evil}${'x('.repeat(512 * 1024)}\n---> ${evil}${' '.repeat(1024 * 1024)}`,
        'NServiceBus.ExceptionInfo.Data.Handler type': evil,
        'NServiceBus.RelatedTo': evil,
        [`Header-${evil}`]: evil,
      }),
      `{"a":"${evil}"}`,
    )

    const ended = [await show(), await show('--headers'), await show('--stack'), await show('--body')]

    for (const { code, stderr, stdout } of ended) {
      assert.equal(code, 0, stderr)
      // oxlint-disable-next-line no-control-regex -- they are what must not be there
      assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(stdout + stderr))
    }
    assert.ok((ended[0]?.stdout.length ?? 0) < 20_000)
  })

  it('goes on without an exception, a time, a type or a body', async () => {
    const { put, show } = world()
    put({ 'NServiceBus.MessageId': 'm1', 'NServiceBus.FailedQ': 'Sales', 'NServiceBus.TimeOfFailure': 'long ago' }, '')

    const { code, stdout } = await show()

    assert.equal(code, 0)
    assert.match(stdout, /^\(no type\) {2,}/)
    assert.match(stdout, /^failed {6}\? in Sales/m)
    assert.match(stdout, /^body {8}no content type, 0 B$/m)
  })

  it('offers a replay of a poison message only with --to, and none of an acknowledgement', async () => {
    const { put, show } = world()
    put({ 'NServiceBus.MessageId': 'm1' })
    const poison = await show()
    put({ 'NServiceBus.MessageId': 'm1', 'ServiceControl.Retry.Successful': 'x' })
    const acknowledgement = await show()

    assert.match(poison.stderr, /Next: nsb errors replay \w+ --to <queue>/)
    assert.equal(acknowledgement.stderr, '')
  })
})

describe('a command that is shown to be copied', () => {
  it.each(['--force', '$(reboot)', ';reboot', "'", '-y', 'a b'])(
    'E-44 has no id of a message in it that is not a plain word: %s',
    async (id) => {
      const { folder, storage } = projectWith()
      putMessage(storage, 'error', 'a', failureHeaders('m1', { 'ServiceControl.Retry.UniqueMessageId': id }))

      const listed = await nsb(['errors', 'list'], { cwd: folder })
      const shown = await nsb(['errors', 'show', 'm1'], { cwd: folder })

      assert.match(listed.stderr, /^Next: nsb errors show [0-9a-f]{8} {6}nsb errors replay [0-9a-f]{8} --wait$/m)
      assert.match(shown.stderr, /^Next: nsb errors replay [0-9a-f]{8} --wait {6}nsb errors edit [0-9a-f]{8}$/m)
    },
  )
})

describe('the body that errors show prints', () => {
  const bodies = async (
    contentType: string | undefined,
    body: string,
    ...flags: string[]
  ): Promise<{ summary: string; lines: string[] }> => {
    const { put, show } = world()
    const { 'NServiceBus.ContentType': _, ...headers } = failureHeaders('m1')
    put(contentType === undefined ? headers : { ...headers, 'NServiceBus.ContentType': contentType }, body)
    const { stdout } = await show(...flags)
    return { summary: /^body +(.*)$/m.exec(stdout)?.[1] ?? '', lines: flags.length > 0 ? stdout.trimEnd().split('\n') : afterBody(stdout) }
  }

  it('is on one line when it is short JSON, and keeps every digit', async () => {
    const { lines } = await bodies('application/json', '{"OrderId":"42","Price":1.00000000000000000010}')

    assert.deepEqual(lines, ['              { "OrderId": "42", "Price": 1.00000000000000000010 }'])
  })

  it('is indented XML', async () => {
    const { lines } = await bodies('text/xml', '<Order xmlns="http://tempuri.net/Shop"><Id>42</Id><Note>a &amp; b</Note></Order>', '--body')

    assert.deepEqual(lines, ['<Order xmlns="http://tempuri.net/Shop">', '  <Id>42</Id>', '  <Note>a &amp; b</Note>', '</Order>'])
  })

  it.each([
    ['application/json', '{"OrderId":', 'application/json, 11 B, not JSON'],
    ['text/xml', '<a><b></a>', 'text/xml, 10 B, not well-formed XML'],
    ['text/xml', "<a b='\"'/>", 'text/xml, 10 B'],
    ['text/xml', 'hello', 'text/xml, 5 B, not well-formed XML'],
    ['text/xml', `<!DOCTYPE${'['.repeat(2000)}`, 'text/xml, 2009 B'],
    ['text/plain', 'hello', 'text/plain, 5 B'],
  ])('is shown as it is when it is not what its content type says: %s %j', async (contentType, body, summary) => {
    const shown = await bodies(contentType, body)

    assert.equal(shown.summary, summary)
    assert.equal(shown.lines.join('').trim(), body)
  })

  it('E-7 is not stopped by XML that is made to exhaust who formats it', async () => {
    const { lines } = await bodies('text/xml', '<a>'.repeat(20_000))

    assert.match(lines.join('\n'), /<a><a>.*… 43616 more characters \(--body for all\)/s)
  })

  it('is a hex view with ASCII when it is binary, without content type or encoded', async () => {
    for (const contentType of ['application/octet-stream', undefined]) {
      const { lines } = await bodies(contentType, `${'xyz\u0001'.repeat(100)}`)

      assert.equal(lines[0], '              00000000  78 79 7a 01 78 79 7a 01  78 79 7a 01 78 79 7a 01  |xyz.xyz.xyz.xyz.|')
      assert.deepEqual([lines.length, lines.at(-1)?.trim()], [17, '… 144 more bytes (--raw for all)'])
    }
    const whole = await bodies('application/octet-stream', 'x'.repeat(400), '--body')
    assert.equal(whole.lines.length, 25)
  })

  it('is base64 in JSON when it is no text', async () => {
    const { put, show } = world()
    put(failureHeaders('m1', { 'NServiceBus.ContentType': 'application/octet-stream' }), 'xyz')

    assert.deepEqual(itemOf(await show('--json'))['body'], { encoding: 'base64', contentType: 'application/octet-stream', data: 'eHl6' })
  })
})
