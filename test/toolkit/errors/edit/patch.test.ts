import { describe, expect, it } from 'vitest'
import { Header } from '../../../../src/message/headers.ts'
import { NsbError } from '../../../../src/message/nsb-error.ts'
import { bodyMerge, bodyPatch } from '../../../../src/toolkit/errors/edit/patch.ts'

const json = { [Header.ContentType]: 'application/json' }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (body: Uint8Array): string => Buffer.from(body).toString('utf8')

const patched = (body: string, patch: unknown): string =>
  text(bodyPatch(typeof patch === 'string' ? patch : JSON.stringify(patch))(bytes(body), json))
const mergedWith = (body: string, patch: unknown): string =>
  text(bodyMerge(typeof patch === 'string' ? patch : JSON.stringify(patch))(bytes(body), json))

function problemOf(act: () => unknown): NsbError {
  try {
    act()
  } catch (error) {
    if (error instanceof NsbError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a JSON patch of a body', () => {
  // The examples of RFC 6902, appendix A, in their order.
  it.each([
    ['adds a member', '{"foo":"bar"}', [{ op: 'add', path: '/baz', value: 'qux' }], '{"foo":"bar","baz":"qux"}'],
    ['adds an item', '{"foo":["bar","baz"]}', [{ op: 'add', path: '/foo/1', value: 'qux' }], '{"foo":["bar","qux","baz"]}'],
    ['removes a member', '{"baz":"qux","foo":"bar"}', [{ op: 'remove', path: '/baz' }], '{"foo":"bar"}'],
    ['removes an item', '{"foo":["bar","qux","baz"]}', [{ op: 'remove', path: '/foo/1' }], '{"foo":["bar","baz"]}'],
    ['replaces a value', '{"baz":"qux","foo":"bar"}', [{ op: 'replace', path: '/baz', value: 'boo' }], '{"baz":"boo","foo":"bar"}'],
    [
      'moves a value',
      '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ],
    [
      'moves an item',
      '{"foo":["all","grass","cows","eat"]}',
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      '{"foo":["all","cows","eat","grass"]}',
    ],
    [
      'tests values',
      '{"baz":"qux","foo":["a",2,"c"]}',
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      '{"baz":"qux","foo":["a",2,"c"]}',
    ],
    [
      'adds a nested object',
      '{"foo":"bar"}',
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      '{"foo":"bar","child":{"grandchild":{}}}',
    ],
    ['ignores what it does not know', '{"foo":"bar"}', [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }], '{"foo":"bar","baz":"qux"}'],
    ['reads the escapes of pointers', '{"/":9,"~1":10}', [{ op: 'test', path: '/~01', value: 10 }], '{"/":9,"~1":10}'],
    [
      'adds an array as one item',
      '{"foo":["bar"]}',
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      '{"foo":["bar",["abc","def"]]}',
    ],
    [
      'copies a value',
      '{"a":{"b":[1]}}',
      [
        { op: 'copy', from: '/a/b', path: '/a/c' },
        { op: 'add', path: '/a/c/-', value: 2 },
      ],
      '{"a":{"b":[1],"c":[1,2]}}',
    ],
    ['replaces the whole body', '{"a":1}', [{ op: 'replace', path: '', value: [1] }], '[1]'],
    ['finds members with an empty name', '{"":1}', [{ op: 'replace', path: '/', value: 2 }], '{"":2}'],
    ['adds over a member that is there', '{"a":1,"b":2}', [{ op: 'add', path: '/a', value: 3 }], '{"a":3,"b":2}'],
    [
      'compares members in any order',
      '{"a":{"x":1,"y":[null]}}',
      [{ op: 'test', path: '/a', value: { y: [null], x: 1 } }],
      '{"a":{"x":1,"y":[null]}}',
    ],
  ])('E-34 %s', (_, body, patch, expected) => {
    expect(patched(body, patch)).toBe(expected)
  })

  it.each([
    ['a value that is not there', '{"a":1}', [{ op: 'remove', path: '/b' }], 1, "there is no '/b'"],
    ['a test that does not hold', '{"a":"x"}', [{ op: 'test', path: '/a', value: 'y' }], 1, 'the value is "x", not "y"'],
    ['an index past the end', '{"a":[1]}', [{ op: 'add', path: '/a/2', value: 1 }], 1, "'2' is no place in the array '/a', which has 1"],
    ['an index with a zero in front', '{"a":[1,2]}', [{ op: 'replace', path: '/a/01', value: 1 }], 1, "there is no '/a/01'"],
    [
      'a parent that is no container',
      '{"a":1}',
      [
        { op: 'test', path: '/a', value: 1 },
        { op: 'add', path: '/a/b', value: 1 },
      ],
      2,
      "'/a' is neither",
    ],
    ['the place after the last, to be read', '{"a":[1]}', [{ op: 'replace', path: '/a/-', value: 1 }], 1, "there is no '/a/-'"],
    ['what only a prototype has', '{}', [{ op: 'replace', path: '/__proto__/x', value: 1 }], 1, "there is no '/__proto__'"],
    ['a number that is a text', '{"a":10}', [{ op: 'test', path: '/a', value: '10' }], 1, 'the value is 10, not "10"'],
  ])('E-34 names the operation that does not apply: %s', (_, body, patch, number, why) => {
    const problem = problemOf(() => patched(body, patch))

    expect(problem.code).toBe('NSB_PATCH_FAILED')
    expect(problem.message).toContain(`Operation ${number} of the patch (${(patch[number - 1] as { op: string }).op} '`)
    expect(problem.message).toContain(why)
    expect(problem.details).toEqual({ operation: number, path: (patch[number - 1] as { path: string }).path })
  })

  it.each([
    ['no JSON', '[{"op":]'],
    ['no array', '{"op":"remove","path":"/a"}'],
    ['no object in the array', '[1]'],
    ['no such operation', '[{"op":"delete","path":"/a"}]'],
    ['no path', '[{"op":"remove"}]'],
    ['no pointer', '[{"op":"remove","path":"a"}]'],
    ['a bad escape in the pointer', '[{"op":"remove","path":"/~2"}]'],
    ['no value', '[{"op":"add","path":"/a"}]'],
    ['no from', '[{"op":"move","path":"/a"}]'],
    ['a move into itself', '[{"op":"move","from":"/a","path":"/a/b"}]'],
    ['a removal of everything', '[{"op":"remove","path":""}]'],
  ])('E-34 is refused before any message is touched: %s', (_, patch) => {
    expect(problemOf(() => bodyPatch(patch)).code).toBe('NSB_BAD_PATCH')
  })

  it('E-34 keeps all it does not touch as it is written', () => {
    const body = `\uFEFF{\r\n  "10" : 1.0,\t"2":9007199254740993, "g":"Gr\\u00F6\u00dfe", "e": 1E+2,\n"$type":"A, B", "t":1, "z":-0 }\n`

    expect(patched(body, [{ op: 'replace', path: '/t', value: 2 }])).toBe(body.replace('"t":1', '"t":2'))
  })

  it('E-34 keeps every digit of what it puts in, moves and compares', () => {
    const patch = `[{"op":"add","path":"/b","value":12345678901234567890.10},{"op":"test","path":"/a","value":1.50e0},{"op":"move","from":"/a","path":"/c"}]`

    expect(patched('{"a":1.5,"x":0}', patch)).toBe('{"x":0,"b":12345678901234567890.10,"c":1.5}')
    expect(problemOf(() => patched('{"a":9007199254740993}', '[{"op":"test","path":"/a","value":9007199254740992}]')).code).toBe(
      'NSB_PATCH_FAILED',
    )
  })

  it('E-34 sets __proto__ as a member like any other', () => {
    expect(patched('{"a":1}', '[{"op":"add","path":"/__proto__","value":{"x":1}}]')).toBe('{"a":1,"__proto__":{"x":1}}')
    expect(Object.keys({})).toEqual([])
  })

  it('E-34 removes both of a key that stands twice, and changes the one that counts', () => {
    expect(patched('{"a":1,"b":2,"a":3}', [{ op: 'remove', path: '/a' }])).toBe('{"b":2}')
    expect(patched('{"a":1,"b":2,"a":3}', [{ op: 'replace', path: '/a', value: 4 }])).toBe('{"a":1,"b":2,"a":4}')
  })

  it('E-34 can be applied to many bodies, each from the beginning', () => {
    const change = bodyPatch('[{"op":"add","path":"/list","value":[]},{"op":"add","path":"/list/-","value":1}]')

    expect([1, 2].map(() => text(change(bytes('{}'), json)))).toEqual(['{"list":[1]}', '{"list":[1]}'])
  })

  it('E-34 goes through strings of any length', () => {
    const long = 'x'.repeat(20_000_000)

    expect(patched(`{"a":"${long}\\"","b":1}`, [{ op: 'replace', path: '/b', value: 2 }])).toBe(`{"a":"${long}\\"","b":2}`)
  })

  it('E-34 writes a new member with the blanks of its neighbours', () => {
    expect(patched('{\n  "a": 1\n}\n', [{ op: 'add', path: '/b', value: 2 }])).toBe('{\n  "a": 1,\n  "b": 2\n}\n')
  })
})

describe('a merge patch of a body', () => {
  // RFC 7386, appendix A.
  it.each([
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', 'null', 'null'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ])('E-34 %s with %s is %s', (body, patch, expected) => {
    expect(mergedWith(body, patch)).toBe(expected)
  })

  it('E-34 keeps all it does not touch as it is written', () => {
    expect(mergedWith('{ "10":1.0, "2": 9007199254740993 }', '{"3":2.50,"__proto__":{}}')).toBe(
      '{ "10":1.0, "2": 9007199254740993, "3": 2.50, "__proto__": {} }',
    )
  })
})

describe('a body that cannot be patched', () => {
  const change = bodyPatch('[]')
  const codeOf = (body: Uint8Array, headers: Record<string, string>): string => problemOf(() => change(body, headers)).code

  it.each([
    ['without a content type', bytes('{}'), {}],
    ['binary', bytes('{}'), { [Header.ContentType]: 'application/octet-stream' }],
    ['XML', bytes('<a/>'), { [Header.ContentType]: 'text/xml' }],
    ['compressed', bytes('{}'), { ...json, 'Content-Encoding': 'gzip' }],
    ['with encrypted properties, by their header', bytes('{}'), { ...json, 'NServiceBus.RijndaelKeyIdentifier': '2015-10' }],
    ['with encrypted properties, by themselves', bytes('{"Card":{"EncryptedBase64Value":"abc","Base64Iv":"x"}}'), json],
    ['not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), json],
  ])('E-34 is refused: %s', (_, body, headers) => {
    expect(codeOf(body, headers as Record<string, string>)).toBe('NSB_BODY_NOT_EDITABLE')
  })

  it('E-34 is refused where it is not the JSON that it says it is', () => {
    expect(codeOf(bytes('{"a":'), json)).toBe('NSB_NOT_JSON')
  })
})
