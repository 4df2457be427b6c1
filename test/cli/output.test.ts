import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { noColours, wantsColour } from '../../src/cli/colour.ts'
import { listColumns } from '../../src/cli/errors/list-columns.ts'
import { withWaitValue } from '../../src/cli/errors/wait-flag.ts'
import { sectionAbout } from '../../src/cli/error-help.ts'
import { indentJson } from '../../src/cli/indent-json.ts'
import { chosenColumns, csvLines, sortedRows } from '../../src/cli/listing.ts'
import { printable, printableJson, printableLine } from '../../src/cli/printable.ts'
import { Progress, progressText } from '../../src/cli/progress.ts'
import { idsIn } from '../../src/cli/read-ids.ts'
import { relativeTime } from '../../src/cli/relative-time.ts'
import { errorDocument, errorLines, reportedError } from '../../src/cli/report-error.ts'
import { type Column, drawTable } from '../../src/cli/table.ts'
import { readFailure } from '../../src/message/failure.ts'
import { NsbError } from '../../src/message/nsb-error.ts'

describe('printable text', () => {
  it.each([
    ['plain – é ✓ 😀', 'plain – é ✓ 😀'],
    ['a\u001b[31mb\u0007', 'a\\x1b[31mb\\x07'],
    ['a\u202eb\u200b\u2066', 'a\\u202eb\\u200b\\u2066'],
    ['a\u009bb\u007f', 'a\\x9bb\\x7f'],
    ['a\r\nb\tc\rd', 'a\nb\tc\\x0dd'],
    ['\ud800x', '\\ud800x'],
    ['a\u180eb\ufff9\ufffa\ufffbc\u3164d\u00ade', 'a\\u180eb\\ufff9\\ufffa\\ufffbc\\u3164d\\xade'],
    ['\u{e0001}\u{e0041}\u{e007f}\u{e0100}\ufe00x\ufe0f', '\\u{e0001}\\u{e0041}\\u{e007f}\\u{e0100}\\ufe00x\\ufe0f'],
    ['👩‍👩‍👧 ❤️‍🔥 👍🏽 ☎️', '👩‍👩‍👧 ❤️‍🔥 👍🏽 ☎️'],
    ['a\u200db ❤\ufe0f\ufe0f\u200d\u200dx', 'a\\u200db ❤\ufe0f\\ufe0f\\u200d\\u200dx'],
  ])('E-44 of %j is %j', (text, shown) => assert.equal(printable(text), shown))

  it('E-44 is still the same document where it is JSON', () => {
    const document = { text: 'a\u001b[31m\u009b2J\u202e\u2028\u007f', 'k\u0085': ['\u200b é ✓ 😀'] }

    const shown = printableJson(JSON.stringify(document, null, 2))

    assert.equal(printable(shown), shown)
    assert.deepEqual(JSON.parse(shown), document)
  })

  it('is one line where one line is wanted', () => {
    assert.equal(printableLine('a \r\n  b\tc'), 'a b c')
    assert.equal(printableLine(' '.repeat(1_000_000)).length, 1_000_000)
  })
})

describe('colour', () => {
  it.each<[boolean, NodeJS.ProcessEnv, boolean, boolean]>([
    [false, {}, true, true],
    [false, {}, false, false],
    [false, { TERM: 'dumb' }, true, false],
    [false, { FORCE_COLOR: '1' }, false, true],
    [false, { FORCE_COLOR: '0' }, true, false],
    [false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true, false],
    [false, { NO_COLOR: '' }, true, true],
    [true, { FORCE_COLOR: '1' }, true, false],
  ])('CLI-4 flag %s, environment %j, terminal %s: %s', (flag, env, isTTY, expected) =>
    assert.equal(wantsColour(flag, env, isTTY), expected),
  )
})

interface Row {
  readonly name: string
  readonly size: number | undefined
}
const rows: readonly Row[] = [
  { name: 'b, "c"', size: 10 },
  { name: 'a\u001b', size: 9 },
]
const columns: readonly Column<Row>[] = [
  { name: 'size', value: (row) => row.size, align: 'right' },
  { name: 'name', value: (row) => row.name, short: (row) => row.name.slice(0, 1) },
  { name: 'more', value: () => undefined, wide: true },
]

describe('a table', () => {
  const style = { width: undefined, short: false, header: true, paintHeader: noColours.dim }

  it('has an upper-case header, two blanks between columns, and no blanks at the end', async () => {
    assert.equal(await drawTable(rows, columns, style), 'SIZE  NAME    MORE\n  10  b, "c"  –\n   9  a\\x1b   –')
  })

  it('is cut in its last column to the width of a terminal', async () => {
    const table = await drawTable([{ name: 'x'.repeat(100), size: 1 }], columns.slice(0, 2), { ...style, width: 20, header: false })

    assert.equal(table, `1  ${'x'.repeat(13)}…`)
  })

  it('does not take the square of a long text of wide characters, and pads no row to a name of any length', async () => {
    const long = '漢'.repeat(100_000)
    const table = await drawTable([{ name: long, size: 1 }], columns, { ...style, header: false })
    const last = await drawTable([{ name: long, size: 1 }], columns.slice(0, 2), { ...style, header: false })

    assert.equal(table, `1  ${'漢'.repeat(499)}…  –`)
    assert.equal(last, `1  ${long}`)
  })

  it('is not cut in the middle of a character', async () => {
    const table = await drawTable([{ name: '🎉'.repeat(20), size: 1 }], columns.slice(1, 2), { ...style, width: 10, header: false })

    assert.equal(table, '🎉🎉🎉🎉…')
  })

  it('shows the narrow columns unless others are asked for', () => {
    const names = (choice: object): string[] => chosenColumns(columns, choice).map((column) => column.name)

    assert.deepEqual(names({}), ['size', 'name'])
    assert.deepEqual(names({ output: 'wide' }), ['size', 'name', 'more'])
    assert.deepEqual(names({ columns: 'name,SIZE' }), ['name', 'size'])
    assert.throws(() => names({ columns: 'siz' }), { code: 'NSB_UNKNOWN_COLUMN' })
  })

  it('is sorted by a column, numbers as numbers', () => {
    assert.deepEqual(
      sortedRows(rows, columns, 'size').map((row) => row.size),
      [9, 10],
    )
    assert.deepEqual(
      sortedRows(rows, columns, '-size').map((row) => row.size),
      [10, 9],
    )
  })

  it('is sorted by what a column says its order is, and what has none comes last both ways', () => {
    const sizes = [{ size: 2 }, { size: undefined }, { size: 10 }]
    const column: Column<(typeof sizes)[number]> = { name: 'size', value: ({ size }) => `${size} items`, order: ({ size }) => size }

    assert.deepEqual(
      ['size', '-size'].map((sort) => sortedRows(sizes, [column], sort).map(({ size }) => size)),
      [
        [2, 10, undefined],
        [10, 2, undefined],
      ],
    )
  })

  it('can be csv', () => assert.deepEqual(csvLines(rows, columns, true), ['size,name,more', '10,"b, ""c""",', '9,a\\x1b,']))

  it('E-44 has no formula in csv, while numbers stay as they are', () => {
    const cells = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("x")', 'a=1', -5, 0]
    const column: Column<string | number> = { name: 'cell', value: (cell) => cell }

    assert.deepEqual(csvLines(cells, [column], false), [
      "'=1+1",
      "'+1",
      "'-1",
      "'@SUM(A1)",
      "'\t=1",
      '"\'\r=1"',
      '"\'=HYPERLINK(""x"")"',
      'a=1',
      '-5',
      '0',
    ])
  })

  it('has all of an exception in csv, and its first line in a table', async () => {
    const failed = readFailure({ 'NServiceBus.ExceptionInfo.ExceptionType': 'A', 'NServiceBus.ExceptionInfo.Message': 'one\r\n"two"' }, 'm')
    const row = { failed, duplicate: false, at: undefined, errorQueue: 'error' }
    const exception = listColumns(0, false).filter(({ name }) => name === 'exception')
    const plain = { width: undefined, short: false, header: false, paintHeader: (text: string): string => text }

    assert.deepEqual(csvLines([row], exception, false), ['"A: one\r\n""two"""'])
    assert.equal(await drawTable([row], exception, plain), 'A: one')
  })
})

describe('an error', () => {
  const error = new NsbError({
    code: 'NSB_QUEUE_HAS_CONSUMER',
    message: 'queue has a consumer\nand more\u001b',
    suggestions: ['nsb x'],
    details: { queue: 'error' },
  })

  it('is its code, its text, further lines indented, and what to try', () => {
    assert.equal(
      errorLines(reportedError(error), noColours, false),
      'Error NSB_QUEUE_HAS_CONSUMER: queue has a consumer\n  and more\\x1b\n  Try: nsb x',
    )
  })

  it('is nsb.error/1 for scripts', () => {
    assert.deepEqual(errorDocument(reportedError(error)), {
      schema: 'nsb.error/1',
      error: { code: 'NSB_QUEUE_HAS_CONSUMER', message: error.message, hint: 'nsb x', exitCode: 6, details: { queue: 'error' } },
    })
  })

  it.each([
    'Write amqp://user:password@host:5672/vhost, with %-codes for reserved characters',
    'it is not an address of the form amqp://user:password@host:port/vhost',
    "export NSB_CONNECTION='amqp://user:password@host:5672/vhost'",
    'http://user:password@host:15672',
    'Or host=…;virtualHost=…;userName=…;password=…',
  ])('CLI-6 shows what is to be filled in as it is: %s', (hint) => {
    const shown = reportedError(new NsbError({ code: 'NSB_BAD_CONNECTION', message: hint, suggestions: [hint] }))

    assert.deepEqual([shown.message, shown.suggestions], [hint, [hint]])
  })

  it.each([
    'amqp://sales:s3cret@host:5672/vhost',
    'amqp://user:s3cret@host:5672/vhost',
    'amqp://user:password@host:s3cret@mq1',
    'amqp://user:password@host/s3cret@mq1',
    'amqp://user:password@hosts3cret@mq1',
    'host=mq1;password=…s3cret',
    'host=mq1;password="… s3cret"',
  ])('CLI-6 shows no password that looks like what is to be filled in: %s', (typed) => {
    const shown = reportedError(new NsbError({ code: 'NSB_BAD_CONNECTION', message: typed, suggestions: [`nsb ${typed}`] }))

    assert.doesNotMatch(JSON.stringify(shown), /s3cret/)
  })

  it.each(['amqp://user:password@host.example.com/vhost', 'amqp://user:password@mq1', 'amqp://guest:password@host'])(
    'CLI-6 hides the password of another host or user: %s',
    (typed) => {
      const { message } = reportedError(new NsbError({ code: 'NSB_BAD_CONNECTION', message: typed }))

      assert.ok(message.includes(':***@'), message)
    },
  )

  it('shows its stack and causes only when asked', () => {
    const withCause = new Error('outer', { cause: new Error('inner') })

    assert.doesNotMatch(errorLines(reportedError(withCause), noColours, false), /at /)
    assert.match(errorLines(reportedError(withCause), noColours, true), /caused by Error: inner/)
  })

  it.each([
    [
      new NsbError({
        code: 'NSB_BAD_DURATION',
        message: `Parsing --delay \n\t'5' is not a duration.\nSee more help with --help`,
        suggestions: ['5s'],
      }),
    ],
    [new Error(`Parsing --delay \n\t'5' is not a duration.\nSee more help with --help`)],
  ])('is without the frame that oclif puts around what a flag refuses', (refused) => {
    assert.match(errorLines(reportedError(refused), noColours, false), /^Error NSB_BAD_\w+: --delay: '5' is not a duration\.\n {2}Try: \S/)
  })

  it('that nsb does not know ends with 1, a file that may not be read with 5', () => {
    assert.equal(reportedError(new Error('x')).exitCode, 1)
    assert.equal(reportedError('text').exitCode, 1)
    const refused = reportedError(Object.assign(new Error('x'), { code: 'EACCES', path: '/a/b' }))
    assert.deepEqual([refused.exitCode, refused.suggestions], [5, ['ls -ld /a /a/b']])
  })

  it('is explained by its section of docs/errors.md, or its row', () => {
    const page = '# Errors\n## NSB_A\ntext\n\n## NSB_AB\nother\n| NSB_C | what | do |\n'

    assert.equal(sectionAbout('NSB_A', page), '## NSB_A\ntext')
    assert.equal(sectionAbout('NSB_C', page), 'NSB_C\nwhat\ndo')
    assert.equal(sectionAbout('NSB_D', page), undefined)
  })
})

describe('JSON on several lines', () => {
  it('keeps digits, escapes and order, and empty brackets together', () => {
    assert.equal(
      indentJson('{"a":1.00000000000000000001,"b":[],"c":[{},"\\u00e9{,"]}'),
      '{\n  "a": 1.00000000000000000001,\n  "b": [],\n  "c": [\n    {},\n    "\\u00e9{,"\n  ]\n}',
    )
  })

  it('is not laid out when it is no JSON, and stays as it is where that would be hundreds of times as long', () => {
    const endless = '['.repeat(100_000) + ']'.repeat(100_000)
    const wide = `${'['.repeat(200)}${'1,'.repeat(100_000)}1${']'.repeat(200)}`

    assert.equal(indentJson('{"a": not json'), undefined)
    assert.equal(indentJson(endless), endless)
    assert.equal(indentJson(wide), wide)
  })

  it('E-7 is laid out in one go, whatever its size', () => {
    const long = `"${'x'.repeat(1_000_000)}"`
    const many = `[${'{},'.repeat(100_000)}{}]`

    assert.equal(indentJson(`[${long}]`), `[\n  ${long}\n]`)
    assert.equal(indentJson(many)?.split('\n').length, 100_003)
  })
})

describe('small things', () => {
  it.each([
    [undefined, '?'],
    [1_000_000, 'now'],
    [1_000_000 - 59_000, '59 s ago'],
    [1_000_000 - 180_000, '3 min ago'],
    [1_000_000 - 7_200_000, '2 h ago'],
    [1_000_000 - 3 * 86_400_000, '3 d ago'],
    [1_000_000 + 61_000, 'in 1 min'],
  ])('the time %s is %s', (ms, text) => assert.equal(relativeTime(ms, 1_000_000), text))

  it('--wait alone becomes --wait=60s, unless a duration follows', () => {
    assert.deepEqual(withWaitValue(['--wait', '--yes', '--', '--wait']), ['--wait=60s', '--yes', '--', '--wait'])
    assert.deepEqual(withWaitValue(['--wait', '5m', 'c118']), ['--wait', '5m', 'c118'])
    assert.deepEqual(withWaitValue(['--wait=1s']), ['--wait=1s'])
  })

  it('ids are read from lines, ndjson and documents', () => {
    assert.deepEqual(idsIn('a1\n\n  b2 rest\r\n'), ['a1', 'b2'])
    assert.deepEqual(idsIn('{"uniqueId":"a"}\n{"uniqueId":"b"}\n{"schema":"nsb.summary/1"}\n'), ['a', 'b'])
    assert.deepEqual(idsIn('{"items":[{"uniqueId":"a"},{"uniqueId":"b"}]}'), ['a', 'b'])
  })

  it('progress is shown after a second, as a bar on a terminal and as a line every ten seconds elsewhere', () => {
    const step = { doing: 'replaying', done: 70, of: 100, failed: 2 }
    const written = (terminal: boolean, times: readonly number[]): string[] => {
      const [texts, clock] = [[] as string[], [0, ...times]]
      const progress = new Progress({ write: (text) => texts.push(text), terminal, now: () => clock.shift() ?? 0 })
      for (const _ of times) progress.show(step)
      return texts
    }

    assert.equal(written(true, [500, 1001, 1050, 1200]).length, 2)
    assert.equal(written(false, [5000, 10_000, 15_000, 20_000]).length, 2)
    assert.equal(progressText(step, 1000, true), 'replaying  ███████░░░  70/100  70/s  2 failed  1 s left')
    assert.equal(progressText({ ...step, of: undefined }, 1000, true), 'replaying  70  70/s  2 failed')
  })
})
