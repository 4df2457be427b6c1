import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { indentJson } from '../../src/cli/indent-json.ts'
import { printable, printableJson, printableLine } from '../../src/cli/printable.ts'
import { idsIn } from '../../src/cli/read-ids.ts'
import { foldedStack } from '../../src/cli/errors/stack-text.ts'
import { drawTable } from '../../src/cli/table.ts'
import { command, messageSymbol } from '../../src/message/declaration.ts'
import { readFailure } from '../../src/message/failure.ts'
import { headersOf } from '../../src/message/native-headers.ts'
import { nearest } from '../../src/message/nearest.ts'
import { readSavedLine, savedLine } from '../../src/message/saved-message.ts'
import { TypeMap } from '../../src/message/type-map.ts'
import { parseTimeSpan, parseTimestampLeniently } from '../../src/message/wire-formats.ts'
import { dotnetStack } from '../../src/runtime/dotnet-stack.ts'
import { Decimal } from '../../src/serialization/decimal.ts'
import { parseJson, readJson } from '../../src/serialization/json-read.ts'
import { writeJson } from '../../src/serialization/json-write.ts'
import { typed } from '../../src/serialization/typed.ts'
import { withoutPasswords } from '../../src/toolkit/config/secrets.ts'
import { changeHeaders } from '../../src/toolkit/errors/edit/header-changes.ts'
import { bodyText, editText, readEditText } from '../../src/toolkit/errors/edit/edit-text.ts'
import { bodyMerge, bodyPatch } from '../../src/toolkit/errors/edit/patch.ts'
import { checkSchema } from '../../src/toolkit/errors/edit/valid-body.ts'
import { groupIds } from '../../src/toolkit/errors/select/group.ts'
import { idMatcher, resolveIds } from '../../src/toolkit/errors/select/resolve-ids.ts'
import { selector } from '../../src/toolkit/errors/select/select.ts'
import { exceptionTitle } from '../../src/toolkit/errors/select/stack-title.ts'
import { readBody, validateBody } from '../../src/toolkit/send/body.ts'
import { XmlText } from '../../src/toolkit/xml-text.ts'
import { readMetadata, writeMetadata } from '../../src/transport/learning/metadata.ts'
import { MemoryQueue, type StoredMessage } from '../../src/transport/memory/queue.ts'
import { decimal } from '../../src/zod/index.ts'
import { stepsOf } from '../support/steps.ts'

/** What is read, the characters or elements of it, and who reads it. */
type Reader = readonly [name: string, size: number, read: (size: number) => () => unknown]

const mebibyte = 1024 * 1024
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const filled = (text: string, size: number): string => text.repeat(Math.ceil(size / text.length))
const list = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: Math.floor(count) }, (_, index) => make(index))
const quiet = (act: () => unknown): void => {
  try {
    act()
  } catch {
    // Refusing it is an answer.
  }
}

const numbers = z.object({ P: z.array(z.number()) })
const records = z.object({ P: z.record(z.string(), z.number()) })
const unions = z.object({ P: z.array(z.union([z.object({ a: z.number() }), z.object({ b: z.number() })])) })
const mixtures = z.object({ P: z.array(z.object({ a: z.number(), b: decimal() })) })
const strict = z.object({ P: z.array(z.string()) })
const definitionOf = (schema: z.ZodType<object>) => command('Shop.PlaceOrder', schema as never)[messageSymbol]

const typedBody =
  (schema: z.ZodType<object>, item: (index: number) => string, brackets = '[]') =>
  (size: number) => {
    const items = list(size / (item(1).length + 1), item)
    const tree = parseJson(`{"P":${brackets[0]}${items.join(',')}${brackets[1]}}`)
    return () => typed(definitionOf(schema), tree)
  }

const text = (unit: string, read: (whole: string) => unknown) => (size: number) => {
  const whole = filled(unit, size)
  return () => quiet(() => read(whole))
}

const stack = (unit: string) => (size: number) => {
  const headers = {
    'NServiceBus.ExceptionInfo.ExceptionType': 'T',
    'NServiceBus.ExceptionInfo.StackTrace': filled(unit, size),
    'NServiceBus.ExceptionInfo.Message': filled('ab', size / 4),
  }
  return () => exceptionTitle(headers)
}

const json = { 'NServiceBus.ContentType': 'application/json' }
const thrown = (line: string) => (size: number) => {
  const error = new Error('x')
  error.stack = filled(line, size)
  return () => dotnetStack(error)
}

const members = (count: number): string => `{${list(count, (index) => `"k${index}":1`).join(',')}}`
const manyTypes = new TypeMap([
  class A extends command('Shop.A', z.object({})) {},
  class B extends command('Shop.B', z.object({})) {},
] as never)
const saved = { nativeId: '', native: {}, unreadable: undefined }

/** Each with the worst that its author could think of. */
const readers: readonly Reader[] = [
  ['JSON that is plain', mebibyte, text('[1,', (body) => readJson(bytes(`${body}1`)))],
  ['JSON of decimals', mebibyte, (size) => text('1.0,', (body) => parseJson(`[${body}1]`))(size)],
  ['JSON of quotes and backslashes', mebibyte, text('"\\\\\\"', (body) => parseJson(`[${body}`))],
  ['JSON that is only blanks', mebibyte, text(' ', (body) => parseJson(`{${body}`))],
  ['JSON with type hints', mebibyte, text('{"$type":"a"},', (body) => parseJson(`[${body}1]`))],
  ['JSON that is written', mebibyte, (size) => () => writeJson({ P: list(size / 8, (index) => ({ [`é${index}`]: '<' })) })],
  ['a decimal with zeros in front', mebibyte, text('0', (zeros) => Decimal.of(`0.${zeros}1`).equals(`0.${zeros}10`))],
  ['a decimal with zeros in the middle', mebibyte, text('0', (zeros) => Decimal.of(`1${zeros}.${zeros}1`).isInteger())],
  ['decimals for numbers', mebibyte, typedBody(numbers, () => '1.0')],
  ['decimals for numbers, half of them wrong', mebibyte / 4, typedBody(numbers, (index) => (index % 2 ? '"x"' : '1.0'))],
  ['decimals for texts', mebibyte / 4, typedBody(strict, () => '1.0')],
  ['decimals in a record', mebibyte / 4, typedBody(records, (index) => `"k${index}":1.0`, '{}')],
  ['decimals in unions', mebibyte / 4, typedBody(unions, () => '{"b":1.0}')],
  ['decimals beside numbers', mebibyte / 4, typedBody(mixtures, () => '{"a":1.0,"b":123.40}')],
  ['--data', 4000, (size) => () => readBody({ texts: [], data: list(size, (index) => `P.k${index}=1.0`) }, definitionOf(records))],
  [
    'properties that nobody knows',
    4000,
    (size) => {
      const body = parseJson(members(size)) as Record<string, unknown>
      return () => quiet(() => validateBody(definitionOf(numbers), body))
    },
  ],
  [
    'an edited body with what no schema has',
    20_000,
    (size) => () => quiet(() => checkSchema(definitionOf(numbers), bytes(members(size)), bytes(members(size)))),
  ],
  ['a body laid out to be edited', mebibyte / 4, (size) => () => bodyText({ body: bytes(`[${filled('[],', size)}1]`), headers: json })],
  ['a file of an editor', mebibyte / 4, (size) => () => quiet(() => readEditText(`${filled('"a\\"": x\n', size)}`, {}, 'headers'))],
  ['headers for an editor', mebibyte / 4, text('"\\\n', (value) => editText({ [value]: value }, '', 'headers', []))],
  [
    'headers that are all taken out',
    20_000,
    (size) => () =>
      changeHeaders(Object.fromEntries(list(size, (index) => [`h${index}`, ''])), { set: {}, unset: list(size, (index) => `h${index}`) }),
  ],
  ['a merge patch', 10_000, (size) => () => bodyMerge(members(size))(bytes(members(size)), json)],
  ['a merge patch that removes', 10_000, (size) => () => bodyMerge(members(size).replaceAll(':1', ':null'))(bytes(members(size)), json)],
  [
    'a patch of members',
    4000,
    (size) => () =>
      bodyPatch(`[${list(size, (index) => `{"op":"replace","path":"/k${index}","value":2}`).join(',')}]`)(bytes(members(size)), json),
  ],
  ['XML of attributes', mebibyte, text('a="1" ', (inside) => XmlText.read(`<a ${inside}/>`).laidOut())],
  ['XML without an end', mebibyte, text('<a ', (whole) => XmlText.read(whole))],
  ['XML of a tag that goes on', mebibyte, text('b', (whole) => XmlText.read(`<a ${whole}`))],
  ['XML of elements', mebibyte, text('<a>x</a>', (inside) => XmlText.read(`<r>${inside}</r>`).laidOut())],
  ['JSON that is indented', mebibyte / 4, text('"\\"",', (inside) => indentJson(`[${inside}1]`))],
  ['enclosed types', mebibyte, text('Shop.A;Shop.B;', (types) => manyTypes.map(`${types}Shop.A`))],
  ['enclosed types with brackets', mebibyte, text('A[[B, C]], D;', (types) => manyTypes.map(`${types}Shop.A`))],
  ['a time span', mebibyte, text('1', (digits) => parseTimeSpan(digits))],
  ['a timestamp', mebibyte, text('2026-01-01T', (whole) => parseTimestampLeniently(whole))],
  ['a stack of parentheses', mebibyte, stack(`   at A.b(${')in /'.repeat(300)}\n`)],
  ['a stack of commas and blanks', mebibyte, stack(`   at A.b(${',,'.repeat(200)}${' '.repeat(900)}\n`)],
  ['a stack of places', mebibyte, stack(`   at A.b(${') in /x:'.repeat(200)}\n`)],
  ['a stack that its message nearly is', mebibyte, stack('ab')],
  ['a stack that is shown', mebibyte / 8, text(`   at A.b(${','.repeat(500)}\n---> x\n`, (whole) => foldedStack(whole))],
  ['what was thrown', mebibyte / 8, thrown(`    at ${'x [as '.repeat(200)}\n`)],
  ['what was thrown, with digits', mebibyte / 8, thrown(`    at ${':1'.repeat(500)}\n`)],
  ['text for a terminal', mebibyte / 4, text('\u202e\r\n \t', (whole) => printable(whole) + printableJson(whole) + printableLine(whole))],
  ['text for one line', mebibyte / 4, text(' ', (whole) => printableLine(whole))],
  ['text with passwords', mebibyte / 8, text('://a:', (whole) => withoutPasswords(whole))],
  ['text with passwords and quotes', mebibyte / 8, text(`password="pwd='`, (whole) => withoutPasswords(whole))],
  ['text with nearly the example', mebibyte / 8, text('://user:password@host', (whole) => withoutPasswords(whole))],
  ['lines of ids', mebibyte / 4, text('ab cd\n', (whole) => idsIn(whole))],
  [
    'a line that was exported',
    mebibyte,
    (size) => {
      const line = savedLine(
        { ...saved, headers: Object.fromEntries(list(size / 20, (index) => [`h${index}`, 'v'])), body: bytes('{}') },
        { queue: 'error', exportedAt: 0 },
      )
      return () => readSavedLine(line, { verifyHash: true })
    },
  ],
  [
    'headers of a failure',
    50_000,
    (size) => {
      const headers = Object.fromEntries(list(size, (index) => [`S${index}`, 'v']))
      return () => readFailure(headers, 'id')
    },
  ],
  ['deaths in a header', mebibyte, text('{"queue":"q"},', (deaths) => readFailure({ 'x-death': `[${deaths}1]` }, 'id'))],
  [
    'an envelope of another system',
    mebibyte,
    text('[],', (body) =>
      readFailure({ 'MT-Reason': 'fault', 'MT-Fault-InputAddress': filled('/:', 1000) }, '', false, { body: bytes(`[${body}1]`) }),
    ),
  ],
  [
    'native headers',
    20_000,
    (size) => () => headersOf({ headers: Object.fromEntries(list(size, (index) => [`x${index}`, { a: [index, { b: 'c' }] }])) }),
  ],
  [
    'metadata of a folder',
    mebibyte / 4,
    (size) => {
      const whole = writeMetadata(Object.fromEntries(list(size / 10, (index) => [`h${index}`, '"'])), undefined)
      return () => readMetadata(whole)
    },
  ],
  [
    'a table',
    2000,
    (size) => () =>
      drawTable(
        list(size, (index) => ({ index })),
        [
          { name: 'a', value: ({ index }) => index },
          { name: 'b', value: () => 'x' },
        ],
        { width: 80, short: false, header: true, paintHeader: (head) => head },
      ),
  ],
  [
    'groups of a failure',
    mebibyte / 8,
    text('a', (whole) => groupIds({ 'NServiceBus.FailedQ': whole, 'NServiceBus.EnclosedMessageTypes': whole })),
  ],
  [
    'as many ids as messages',
    20_000,
    (size) => {
      const entries = list(size, (index) => ({ uniqueId: `abcd${index}-x`, messageId: `m${index}` }))
      const ids = entries.map(({ uniqueId }) => uniqueId.slice(0, -1))
      return () => [entries.filter(idMatcher(ids)), resolveIds(ids, entries)]
    },
  ],
  [
    'as many groups as messages',
    2000,
    (size) => {
      const groups = list(size, (index) => `abcd${index.toString(16).padStart(8, '0')}`)
      const matches = selector({ group: groups }, 0)
      const headers = { 'NServiceBus.FailedQ': 'q' }
      return () => list(size, () => matches(readFailure(headers, 'id'), { headers }))
    },
  ],
  [
    'globs',
    mebibyte / 4,
    text('ab', (whole) => selector({ failedQueue: ['a*a*b*c'] }, 0)(readFailure({ 'NServiceBus.FailedQ': whole }, 'id'), { headers: {} })),
  ],
  [
    'names like another one',
    20_000,
    (size) => () =>
      nearest(
        'queue',
        list(size, (index) => `queue${index}`),
      ),
  ],
  [
    'a queue in memory',
    40_000,
    (size) => () => {
      const queue = new MemoryQueue('q')
      for (const sequence of list(size, (index) => index))
        queue.add({ sequence, expiresAt: undefined, dueAt: undefined } as StoredMessage, 0)
      for (let message = queue.take(0); message; message = queue.take(0))
        if (message.sequence % 100 === 0 && message.deliveries !== 1) queue.putBack(Object.assign(message, { deliveries: 1 }))
    },
  ],
]

/** Four times as much takes four times as many steps, or sixteen where they are squared; sorting takes a little more. */
const mostGrowth = 6
const rounds = 3

describe('steps grow with what is read, and not faster', () => {
  it.each(readers)('%s', async (_, size, read) => {
    const [quarter, all] = [read(size / 4), read(size)]
    // What is made once for all is made before.
    await read(size / 64)()

    let growth = Number.POSITIVE_INFINITY
    // V8 loses some counts while it compiles a function anew, so what looks like too many is counted again.
    for (let round = 0; round < rounds && growth >= mostGrowth; round++) {
      const few = await stepsOf(quarter)
      growth = (await stepsOf(all)) / few
    }

    expect(growth).toBeLessThan(mostGrowth)
  })
})
