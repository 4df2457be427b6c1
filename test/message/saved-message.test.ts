import { describe, expect, it } from 'vitest'
import { readFailure } from '../../src/message/failure.ts'
import { type Saveable, readSavedLine, savedLine, textHeaders, typedProperties } from '../../src/message/saved-message.ts'

const held = (more: Partial<Saveable> = {}): Saveable => ({
  headers: { 'NServiceBus.MessageId': 'm1', 'NServiceBus.FailedQ': 'Sales', 'NServiceBus.ContentType': 'application/json' },
  native: { messageId: 'native-1', deliveryMode: 2 },
  nativeId: 'native-1',
  body: Buffer.from('{"OrderId":"1"}'),
  unreadable: undefined,
  ...more,
})
const facts = { queue: 'error', exportedAt: Date.UTC(2026, 10, 21) }
const lineOf = (more: Partial<Saveable> = {}): Record<string, unknown> =>
  JSON.parse(savedLine(held(more), facts)) as Record<string, unknown>

/** Why the line is refused, after a change. */
function refused(change: Record<string, unknown>): string {
  try {
    readSavedLine(JSON.stringify({ ...lineOf(), ...change }), { verifyHash: true })
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return `${code}: ${message}`
  }
  return 'it is read'
}

describe('the line of a saved message', () => {
  it('E-36 has the form that the specification gives it', () => {
    expect(lineOf()).toEqual({
      schema: 'nsb.message/1',
      uniqueId: '95fde2c0-0c2b-3b3f-c748-f0fbd27a3b60',
      messageId: 'm1',
      kind: 'failure',
      queue: 'error',
      exportedAt: '2026-11-21T00:00:00.000Z',
      properties: { messageId: 'native-1', deliveryMode: 2 },
      headers: { 'NServiceBus.MessageId': 'm1', 'NServiceBus.FailedQ': 'Sales', 'NServiceBus.ContentType': 'application/json' },
      body: { encoding: 'utf8', contentType: 'application/json', data: '{"OrderId":"1"}' },
      sha256: '084deb5cadc11d96cc017fb6275f59a429bec4c9a7789a714537aa1f4c0467e3',
    })
  })

  it('E-36 keeps the types of header values, and shows on reading what was shown', () => {
    const native = {
      deliveryMode: 2,
      headers: {
        count: 7,
        'x-count': 7,
        wide: 2 ** 40,
        ticks: { '!': 'int64', value: 638_993_376_541_234_567n },
        part: 1.5,
        raw: Buffer.from([255]),
        at: { '!': 'timestamp', value: 0 },
      },
    }

    const line = lineOf({ native, headers: { count: '7' } })

    expect(line['headers']).toEqual({
      count: { '!': 'int', v: 7 },
      'x-count': { '!': 'long', v: 7 },
      wide: { '!': 'long', v: 2 ** 40 },
      ticks: { '!': 'long', v: '638993376541234567' },
      part: { '!': 'double', v: 1.5 },
      raw: { '!': 'bytes', v: '/w==' },
      at: { '!': 'timestamp', v: 0 },
    })
    const saved = readSavedLine(JSON.stringify(line), { verifyHash: true })
    expect((saved.native['headers'] as object | undefined) ?? {}).toMatchObject({ ticks: native.headers.ticks, wide: native.headers.wide })
    expect(saved.headers).toEqual({
      count: '7',
      'x-count': '7',
      wide: '1099511627776',
      ticks: '638993376541234567',
      part: '1.5',
      raw: '\ufffd',
      at: '1970-01-01 00:00:00:000000 Z',
    })
  })

  it('E-36 has `wire` where headers and properties do not tell everything, and it counts until they are changed', () => {
    // Two headers with one name.
    const wire = Buffer.from(`2000${'00000010'}${'0161530000000162'}${'0161530000000163'}`, 'hex')
    const line = { ...lineOf({ native: { wire } }), messageId: undefined }

    const changed = (headers: object): unknown => readSavedLine(JSON.stringify({ ...line, headers }), { verifyHash: true }).native['wire']

    expect(line).toMatchObject({ headers: { a: 'c' }, properties: {}, wire: wire.toString('base64') })
    expect(changed({ a: 'c' })).toEqual(wire)
    expect(changed({ a: 'd' })).toBeUndefined()
    expect(refused({ wire: 'IAAA' })).toMatch(/its 'wire' is not what the properties of a message are made of/)
    expect(refused({ wire: '!' })).toMatch(/its 'wire' is not base64/)
  })

  it('E-36 has a body of nothing but control characters as base64 where JSON would make six of each', () => {
    const body = Buffer.alloc(33 * 1024 * 1024, 1)

    const line = savedLine(held({ body }), facts)

    expect(line.length).toBeLessThan(45 * 1024 * 1024)
    expect(body.equals(readSavedLine(line, { verifyHash: true }).body)).toBe(true)
  })

  it('E-36 is refused where it would be longer than what can be read again', () => {
    const body = Buffer.alloc(200 * 1024 * 1024, 0xff)

    expect(() => savedLine(held({ body }), facts)).toThrow(expect.objectContaining({ code: 'NSB_TOO_LARGE_TO_SAVE' }))
  })

  it('E-38 has binary bodies as base64', () => {
    expect(lineOf({ body: Buffer.from([0xff, 0x00]) })['body']).toEqual({
      encoding: 'base64',
      contentType: 'application/json',
      data: '/wA=',
    })
  })

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['another schema', { schema: 'nsb.message/2' }, /^NSB_BAD_LINE: its schema is "nsb.message\/2"/],
    ['no schema', { schema: undefined }, /its schema is missing/],
    ['headers that are a list', { headers: [] }, /'headers' is no JSON object/],
    ['properties that are a text', { properties: 'x' }, /'properties' is no JSON object/],
    ['an unknown property', { properties: { colour: 'red' } }, /its property "colour" cannot be "red"/],
    ['a property of the prototype', { properties: JSON.parse('{"__proto__":{}}') }, /its property "__proto__"/],
    ['a property that is too long', { properties: { type: 'ö'.repeat(128) } }, /its property "type"/],
    ['a delivery mode that there is not', { properties: { deliveryMode: 256 } }, /its property "deliveryMode" cannot be 256/],
    ['no body', { body: undefined }, /it has no body/],
    ['an unknown encoding', { body: { encoding: 'hex', data: '00' } }, /the encoding of its body is "hex"/],
    ['what is not base64', { body: { encoding: 'base64', data: '!' } }, /not base64/],
    ['no hash', { sha256: undefined }, /it has no sha256/],
    ['another body', { body: { encoding: 'utf8', data: '{"OrderId":"2"}' } }, /^NSB_HASH_MISMATCH: /],
    ['a type that there is not', { headers: { a: { '!': 'colour', v: 1 } } }, /its header "a" has a value/],
    ['a long that is none', { headers: { a: { '!': 'long', v: 'x' } } }, /its header "a" has a value/],
    ['a long that is too long', { headers: { a: { '!': 'long', v: '9223372036854775808' } } }, /its header "a" has a value/],
    [
      'a number that is none',
      { headers: { a: { '!': 'double', v: 'NaN' } } },
      /its header "a" has a value that no message can have: "NaN" is no double/,
    ],
    [
      'a number that is infinite',
      { headers: { a: { '!': 'float', v: 1e300 } } },
      /its header "a".*: no broker takes a number that is none, or infinite/,
    ],
    ['bytes of a number that is none', { headers: { a: [{ b: { '!': 'raw', v: 'ZH/4AAAAAAAA' } }] } }, /its header "a".*: no broker takes/],
    ['bytes of no type', { headers: { a: { '!': 'raw', v: 'eQ==' } } }, /its header "a".*: it is no value of a header/],
    ['bytes of two values', { headers: { a: { '!': 'raw', v: 'VlY=' } } }, /its header "a".*: it is no value of a header/],
    ['an int that is too large', { headers: { a: { '!': 'int', v: 2 ** 31 } } }, /: 2147483648 is no int/],
    ['an int with a fraction', { headers: { a: { '!': 'int', v: 1.5 } } }, /: 1.5 is no int/],
    ['a short that is too small', { headers: { a: { '!': 'short', v: -32_769 } } }, /: -32769 is no short/],
    ['a negative ubyte', { headers: { a: { '!': 'ubyte', v: -1 } } }, /: -1 is no ubyte/],
    ['a negative time', { headers: { a: { '!': 'timestamp', v: -1 } } }, /: -1 is no timestamp/],
    [
      'a time beyond 64 bits',
      { headers: { a: { '!': 'timestamp', v: '18446744073709551616' } } },
      /: "18446744073709551616" is no timestamp/,
    ],
    ['a decimal without places', { headers: { a: { '!': 'decimal', v: { digits: 1 } } } }, /: {"digits":1} is no decimal/],
    ['a decimal with too many digits', { headers: { a: { '!': 'decimal', v: { digits: 2 ** 32, places: 0 } } } }, /is no decimal/],
    ['bytes that are no base64', { headers: { a: { '!': 'bytes', v: 'a' } } }, /: "a" is no bytes/],
    [
      'a name in a table that is too long',
      { headers: { a: { ['n'.repeat(256)]: 1 } } },
      /its header "a".*: The name of a header has 256 bytes/,
    ],
    ['the name of a typed header that is too long', { headers: { ['n'.repeat(256)]: true } }, /The name of a header has 256 bytes/],
    ['a table with the name ! that is not marked', { headers: { a: { '!': 'x', b: 1 } } }, /: a table that has the name "!" is written as/],
    ['a header that is nested too deep', { headers: { a: nested(900) } }, /its header "a" has a value/],
  ])('E-36 with %s is refused with the reason', (_, change, reason) => {
    expect(refused(change)).toMatch(reason)
  })

  it.each([
    ['is empty', '', /it is not JSON/],
    ['is cut off', '{"schema":"nsb.message/1","uni', /it is not JSON/],
    ['is a list', '[]', /not a JSON object/],
    ['is nested too deep', '['.repeat(1_000_000), /it is not JSON/],
  ])('E-36 a line that %s is refused with the reason', (_, text, reason) => {
    expect(() => readSavedLine(text, { verifyHash: true })).toThrow(reason)
  })

  it('E-36 with a changed body is read when nobody asks for the hash', () => {
    const changed = JSON.stringify({ ...lineOf(), body: { encoding: 'utf8', data: 'x' } })

    expect(readSavedLine(changed, { verifyHash: false }).body.toString()).toBe('x')
  })
})

describe('what a broker says of a dead letter', () => {
  const death = {
    queue: 'Sales',
    count: { '!': 'int64', value: 2n ** 60n },
    time: { '!': 'timestamp', value: 1_795_000_000 },
    'routing-keys': ['Sales'],
  }
  const saved = { headers: { text: 'x' }, native: { type: 'A', headers: { 'x-death': [death], 'x-first-death-queue': 'Sales', other: 7 } } }

  it('E-36 E-42 is kept where headers are texts, and has its types again afterwards', () => {
    const headers = textHeaders(saved)

    expect(headers).toEqual({ text: 'x', 'x-death': expect.any(String) as string, 'x-first-death-queue': 'Sales' })
    expect(readFailure(headers, 'd1')).toMatchObject({ kind: 'dlx', queue: 'Sales', failedAt: 1_795_000_000_000 })
    expect(typedProperties({ headers, native: {} })).toEqual({ headers: { 'x-death': [death] } })
  })

  it.each(['count=1', '{}', '[{"!":"colour","v":1}]', '['.repeat(100_000)])('E-36 stays a text that somebody else wrote: %.20s', (text) => {
    expect(typedProperties({ headers: { 'x-death': text }, native: { type: 'A' } })).toEqual({ type: 'A' })
  })
})

function nested(depth: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = [value]
  return value
}
