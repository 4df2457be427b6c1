import { strict as assert } from 'node:assert'
import { cpSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { readMetadata, timeToBeReceivedHeader, writeMetadata } from '../../../src/transport/learning/metadata.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { openLearning, receive, until, writeByHand } from './support.ts'

const recordings = fileURLToPath(new URL('../../fixtures/wire/learning', import.meta.url))
const recorded = readdirSync(recordings, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.metadata.txt'))

/** The headers as another JSON reader sees them. */
const plainly = (text: string): Record<string, string> => JSON.parse(text)

describe('L-1 metadata files recorded from NServiceBus 10.2.8', () => {
  it('are there', () => {
    assert.ok(recorded.length > 20)
  })

  it.each(recorded)('%s: reads to its headers, and is written again byte for byte', (path) => {
    const text = readFileSync(join(recordings, path), 'utf8')

    const metadata = readMetadata(text)

    assert.ok('headers' in metadata)
    const { [timeToBeReceivedHeader]: expiry, ...headers } = plainly(text)
    assert.deepEqual(metadata.headers, headers)
    assert.equal(metadata.timeToBeReceived, expiry)
    assert.equal(writeMetadata(metadata.headers, metadata.timeToBeReceived), text)
  })

  const waiting = recorded.filter((path) => /storage\/[^./][^/]*\/[^/]*$/.test(path) && !path.startsWith('06-'))
  it.each(waiting)('%s: is received with the recorded headers and body', async (path) => {
    const [folder = '', , queue = '', file = ''] = path.split('/')
    const storage = join(tempFolder(), 'storage')
    cpSync(join(recordings, folder, 'storage'), storage, { recursive: true })
    const expected = readFileSync(join(recordings, dirname(path), '.bodies', file.replace('.metadata.txt', '.body.txt')))

    const seen = await receive(openLearning(storage), queue)
    const nativeId = file.slice(0, -'.metadata.txt'.length)
    await until('the message arrives', () => seen.deliveries.some((incoming) => incoming.nativeId === nativeId))

    const incoming = seen.deliveries.find((each) => each.nativeId === nativeId)
    assert.deepEqual({ ...incoming?.headers }, plainly(readFileSync(join(recordings, path), 'utf8')))
    assert.ok(expected.equals(incoming?.body as Uint8Array))
  })
})

describe('L-1 metadata files of NServiceBus 8 and 9', () => {
  it('are read: a data contract writer escapes the slash and leaves other characters alone', async () => {
    const storage = tempFolder()
    const text = '{\n  "NServiceBus.MessageId": "4f6d",\n  "NServiceBus.ContentType": "text\\/xml",\n  "Custom": "Grüße <&> \\u0041"\n}'
    writeByHand(storage, 'sales', '7d5a', text, '<x/>')

    const seen = await receive(openLearning(storage), 'sales')
    await until('the message arrives', () => seen.deliveries.length === 1)

    assert.deepEqual(
      { ...seen.deliveries[0]?.headers },
      { 'NServiceBus.MessageId': '4f6d', 'NServiceBus.ContentType': 'text/xml', Custom: 'Grüße <&> A' },
    )
  })
})

describe('metadata text', () => {
  it.each([
    ['quotes and markup', `"&'<>+\``, '\\u0022\\u0026\\u0027\\u003C\\u003E\\u002B\\u0060'],
    ['backslash and short forms', '\\ \n \r \t \b \f', '\\\\ \\n \\r \\t \\b \\f'],
    ['other controls', '\u0000\u000b\u001f\u007f', '\\u0000\\u000B\\u001F\\u007F'],
    ['non-ASCII as UTF-16 units', 'é—✓🚚\u2028', '\\u00E9\\u2014\\u2713\\uD83D\\uDE9A\\u2028'],
    ['half of a surrogate pair', 'a\ud83db\udc00', 'a\\uFFFDb\\uFFFD'],
    ['a slash, as it is', 'a/b', 'a/b'],
  ])('escapes %s', (_, value, written) => {
    assert.equal(writeMetadata({ A: value }, undefined), `{\r\n  "A": "${written}"\r\n}`)
  })

  it('escapes names as well, and is {} without headers', () => {
    assert.equal(writeMetadata({ "it's": '1', B: '2' }, undefined), '{\r\n  "it\\u0027s": "1",\r\n  "B": "2"\r\n}')
    assert.equal(writeMetadata({}, undefined), '{}')
  })

  it('reads back whatever was written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), (headers) => {
        const metadata = readMetadata(writeMetadata(headers, undefined))
        assert.ok('headers' in metadata)
        assert.deepEqual(Object.entries(metadata.headers), Object.entries(headers))
      }),
    )
  })

  it.each([
    ['a byte order mark', '\ufeff{"A":"1"}', { A: '1' }],
    ['null values, which count as absent', '{"A":"1","B":null}', { A: '1' }],
    ['any layout', '{"A"  :\t"1"}', { A: '1' }],
  ])('tolerates %s', (_, text, headers) => {
    const metadata = readMetadata(text)

    assert.ok('headers' in metadata)
    assert.deepEqual({ ...metadata.headers }, headers)
  })

  it('keeps a header called __proto__ as an ordinary one', () => {
    const metadata = readMetadata('{"__proto__":"x","A":"1"}')

    assert.ok('headers' in metadata)
    assert.deepEqual(Object.keys(metadata.headers), ['__proto__', 'A'])
    assert.equal(writeMetadata(metadata.headers, undefined), '{\r\n  "__proto__": "x",\r\n  "A": "1"\r\n}')
  })

  it.each([
    ['an empty file', '', 'it is empty'],
    ['half a file', '{"A":"1', 'it is not JSON'],
    ['a number', '{"A":1}', `the value of 'A' is not a text but 1`],
    ['a list', '[]', 'it is not a JSON object'],
    ['null', 'null', 'it is not a JSON object'],
  ])('says what is wrong with %s', (_, text, reason) => {
    const metadata = readMetadata(text)

    assert.ok('reason' in metadata && metadata.reason.startsWith(reason))
  })
})
