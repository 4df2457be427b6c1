import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { setInJson } from '../../../src/toolkit/config/edit-json.ts'
import { userConfigFile } from '../../../src/toolkit/config/user-file.ts'

describe('setting a value in a JSON text', () => {
  it.each([
    ['{}\n', ['a'], 1, '{\n  "a": 1\n}\n'],
    ['{ "a": "x" }', ['a'], 'y', '{ "a": "y" }'],
    ['{\n    "a": 1\n}\n', ['b'], true, '{\n    "a": 1,\n    "b": true\n}\n'],
    ['{\n  "a": {\n    "b": 1\n  }\n}', ['a', 'c'], 2, '{\n  "a": {\n    "b": 1,\n    "c": 2\n  }\n}'],
    ['{\n  "a": { "b": 1 }\n}', ['a', 'c'], 2, '{\n  "a": { "b": 1, "c": 2 }\n}'],
    ['{\n  "a": {}\n}', ['a', 'c', 'd'], 2, '{\n  "a": { "c": { "d": 2 } }\n}'],
    ['{\r\n\t"a": 1\r\n}\r\n', ['b', 'c'], 2, '{\r\n\t"a": 1,\r\n\t"b": {\r\n\t\t"c": 2\r\n\t}\r\n}\r\n'],
    ['{\n  "a/b~": 1\n}', ['a/b~'], 2, '{\n  "a/b~": 2\n}'],
    ['\uFEFF{\n  "a": "}\\""\n}', ['b'], 2, '\uFEFF{\n  "a": "}\\"",\n  "b": 2\n}'],
  ])('in %j at %j', (text, path, value, result) => expect(setInJson(text, path, value)).toBe(result))

  it('gives the same as setting it in the value, whatever the text looks like', () => {
    const key = fc.constantFrom('a', 'b', 'c.d', '"', '}')
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean())
    const inner = fc.dictionary(key, fc.dictionary(key, leaf), { noNullPrototype: true })
    const value = fc.dictionary(fc.constantFrom('x', 'y'), inner, { noNullPrototype: true })

    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2, '\t'), fc.constantFrom('x', 'y'), key, key, leaf, (tree, indent, a, b, c, to) => {
        const expected = structuredClone(tree)
        const outer = (expected[a] ??= {})
        const middle = (outer[b] ??= {})
        middle[c] = to

        expect(JSON.parse(setInJson(JSON.stringify(tree, null, indent), [a, b, c], to))).toEqual(expected)
      }),
    )
  })
})

describe("the user's own file", () => {
  it.each([
    [{ XDG_CONFIG_HOME: '/x' }, 'linux', '/x/nsb/config.json'],
    [{ XDG_CONFIG_HOME: 'relative' }, 'linux', '/home/ada/.config/nsb/config.json'],
    [{}, 'darwin', '/home/ada/.config/nsb/config.json'],
    [{ APPDATA: '/roaming' }, 'win32', '/roaming/nsb/config.json'],
  ] as const)('with %j on %s is %s', (env, platform, file) => expect(userConfigFile(env, platform, '/home/ada')).toBe(file))
})
