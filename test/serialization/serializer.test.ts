import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { jsonSerializer } from '../../src/serialization/json.ts'
import { type Serializer, serializerFor, serializers } from '../../src/serialization/serializer.ts'

const plain: Serializer = {
  contentType: 'text/json',
  accepts: (contentType) => contentType === 'text/plain',
  serialize: () => new Uint8Array(),
  deserialize: () => ({}),
}

describe('the serializer for a content type', () => {
  it.each(['application/json', 'application/json; charset=utf-8', 'text/json', 'application/json; systemjson'])(
    'is JSON for %s',
    (contentType) => {
      const silent: Serializer = { ...plain, contentType: 'text/xml', accepts: () => false }

      assert.equal(serializerFor(contentType, [silent, ...serializers]), jsonSerializer)
    },
  )

  it('is the one that writes it, before one that also accepts it', () => {
    const acceptsAll: Serializer = { ...plain, contentType: 'x/all', accepts: () => true }

    assert.equal(serializerFor('text/json', [acceptsAll, plain, ...serializers]), plain)
  })

  it.each([undefined, '', 'application/bson'])('is the main one for %s', (contentType) => {
    assert.equal(serializerFor(contentType), jsonSerializer)
    assert.equal(serializerFor(contentType, [plain, ...serializers]), plain)
  })
})
