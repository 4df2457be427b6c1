import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { bodyPath } from '../../../../src/toolkit/errors/select/body-path.ts'
import { selector } from '../../../../src/toolkit/errors/select/select.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const finds = async (path: string, body: string | Uint8Array): Promise<boolean> =>
  (await bodyPath(path)).matches(typeof body === 'string' ? bytes(body) : body)

describe('a path into the body', () => {
  const order = '{"OrderId":"42","Total":10.0,"Note":null,"Lines":[{"Sku":"BOOK-1","Quantity":2},{"Sku":"PEN","Quantity":12}]}'

  it.each<[string, boolean]>([
    ['$.OrderId', true],
    ['$.Note', true],
    ['$.Missing', false],
    ['$.Lines[?@.Quantity > 5]', true],
    ['$.Lines[?@.Quantity > 50]', false],
    ['$.Lines[?@.Sku == "PEN" && @.Quantity == 12]', true],
    ['$.Lines[?match(@.Sku, "BOOK-[0-9]")]', true],
    ['$.Lines[?search(@.Sku, "OOK")]', true],
    ['$[?$.Total == 10]', true],
    ['$[?$.OrderId == 42]', false],
    ['$..Sku', true],
    ['$.constructor', false],
    ['$.__proto__', false],
  ])('%s finds something: %s', async (path, expected) => assert.equal(await finds(path, order), expected))

  it('never matches what is not JSON, and skips a byte order mark', async () => {
    assert.equal(await finds('$', '{"a":'), false)
    assert.equal(await finds('$', ''), false)
    assert.equal(await finds('$', new Uint8Array([0x7b, 0xff, 0x7d])), false)
    assert.equal(await finds('$.a', '\ufeff{"a":1}'), true)
  })

  it('is not stopped by a body that is made to exhaust it', async () => {
    for (const path of ['$..x', '$..[?@.x == 1]']) {
      assert.equal(await finds(path, '['.repeat(200_000) + ']'.repeat(200_000)), false)
      assert.equal(await finds(path, '{"a":'.repeat(200_000) + '1' + '}'.repeat(200_000)), false)
    }
  })

  it.each(['a.b', '$.', '', '$[?@.a', '$[?match(@.a, @.b)]', '$[?$.x && search(@.a, $.pattern)]'])(
    'is refused when it is none, or takes a pattern from a message: %s',
    (path) => assert.rejects(bodyPath(path), { code: 'NSB_BAD_CRITERION' }),
  )
})

describe('criteria with paths', () => {
  const headers = { 'NServiceBus.FailedQ': 'Sales' }
  const failed = readFailure(headers, 'native')

  it('match when one of them finds something, and never without the body', async () => {
    const matches = selector({ body: [await bodyPath('$.a'), await bodyPath('$.b')] }, 0)

    assert.equal(matches(failed, { headers, body: bytes('{"b":1}') }), true)
    assert.equal(matches(failed, { headers, body: bytes('{"c":1}') }), false)
    assert.equal(matches(failed, { headers }), false)
  })
})
