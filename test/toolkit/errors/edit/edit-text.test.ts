import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NsbError } from '../../../../src/message/nsb-error.ts'
import { bodyText, editText, readEditText } from '../../../../src/toolkit/errors/edit/edit-text.ts'
import { changeHeaders, isLocked } from '../../../../src/toolkit/errors/edit/header-changes.ts'
import { failureHeaders } from '../../../cli/nsb.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (body: Uint8Array): string => Buffer.from(body).toString('utf8')
const json = { 'NServiceBus.ContentType': 'application/json' }
const xml = { 'NServiceBus.ContentType': 'text/xml' }

const editing = async (body: string, headers: Record<string, string>, edit: (shown: string) => string): Promise<string> => {
  const shown = bodyText({ body: bytes(body), headers })
  return text(shown.bytesOf(edit(shown.text)))
}

describe('a message as a file', () => {
  it('E-35 has the headers that may be changed on top, the locked ones as comments, and the body below', async () => {
    const headers = failureHeaders('m1', { Tenant: 'acme' })
    const { text: body } = bodyText({ body: bytes('{"OrderId":"42","Total":10.50}'), headers })

    expect(editText(headers, body, 'all', ['Message m1'])).toBe(`# Message m1
# Headers, one a line. Take a line out to remove the header, write a new one to add it. Lines with # are not read.
NServiceBus.ContentType: application/json
NServiceBus.EnclosedMessageTypes: Shop.Messages.PlaceOrder, Shop.Messages
NServiceBus.ProcessingEndpoint: Sales
Tenant: acme
#
# These stay as they are:
# NServiceBus.MessageId: m1
# NServiceBus.FailedQ: Sales
# NServiceBus.TimeOfFailure: 2026-11-21 00:21:15:973439 Z
# NServiceBus.ExceptionInfo.ExceptionType: System.Exception
# NServiceBus.ExceptionInfo.Message: no stock
# NServiceBus.ExceptionInfo.StackTrace: System.Exception: no stock    at Sales.PlaceOrderHandler.Handle(PlaceOrder message, IMessageHandlerContext context) in /src/a.cs:line 58
=== body ===
{
  "OrderId": "42",
  "Total": 10.50
}
`)
  })

  it('E-35 gives the same headers and body back when nothing of it is changed, whatever is in them', () => {
    const name = fc.oneof(fc.string(), fc.string({ unit: 'binary' })).filter((each) => each !== '__proto__')
    fc.assert(
      fc.property(fc.dictionary(name, fc.oneof(fc.string(), fc.string({ unit: 'binary' }))), fc.string(), (headers, body) => {
        const read = readEditText(editText(headers, body, 'all', ['a\nb']), headers, 'all')

        expect(changeHeaders(headers, read.changes).changed).toEqual([])
        expect([body, `${body}\n`]).toContain(read.body)
      }),
    )
  })

  it('E-35 gives what was changed: a value, a new header, one that is gone', () => {
    const headers = failureHeaders('m1', { Tenant: 'acme', Region: 'eu' })
    const file = editText(headers, '', 'headers', []).replace('Tenant: acme\n', 'Tenant: other\nNew: "a\\nb"\n').replace('Region: eu\n', '')

    expect(changeHeaders(headers, readEditText(file, headers, 'headers').changes).changed).toEqual(['Tenant', 'New', 'Region'])
    expect(readEditText(file, headers, 'headers').changes.set['New']).toBe('a\nb')
  })

  it('E-35 is read with the line ends of Windows', () => {
    const headers = { Tenant: 'acme', 'A b': '' }
    const file = editText(headers, 'x', 'all', []).replaceAll('\n', '\r\n')

    expect(changeHeaders(headers, readEditText(file, headers, 'all').changes).changed).toEqual([])
  })

  it('E-35 with a locked header typed in again is a change of it', () => {
    const headers = failureHeaders('m1')
    const file = `NServiceBus.MessageId: m2\n${editText(headers, '', 'headers', [])}`

    expect(() => changeHeaders(headers, readEditText(file, headers, 'headers').changes)).toThrow(/must stay as it is/)
    expect(isLocked('NServiceBus.MessageId')).toBe(true)
  })

  it.each([
    ['a line that is no header', 'Tenant acme', 'Line 1 is not'],
    ['a header twice', 'Tenant: a\nTenant: b', 'Line 2'],
    ['quotes that do not end', 'Tenant: "a', 'Line 1'],
    ['no line before the body', 'Tenant: a', 'is gone'],
  ])('E-35 is refused with its line: %s', (_, file, why) => {
    const all = why === 'is gone' ? file : `${file}\n=== body ===\n`
    let problem: unknown
    try {
      readEditText(all, {}, 'all')
    } catch (error) {
      problem = error
    }

    expect(problem).toBeInstanceOf(NsbError)
    expect(problem).toMatchObject({ code: 'NSB_BAD_EDIT', message: expect.stringContaining(why) as string })
  })

  it('E-44 shows nothing of a message that would look like another line, or steer a terminal', () => {
    const headers = { 'NServiceBus.FailedQ': 'a\n=== body ===\n\u001b[2J\u202e', Evil: 'x\n=== body ===\n\u009b1m' }
    const file = editText(headers, '{}', 'all', ['\u001b]0;x\u0007'])

    expect(file.split('\n').filter((line) => line === '=== body ===')).toHaveLength(1)
    expect(file).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
    expect(changeHeaders(headers, readEditText(file, headers, 'all').changes).changed).toEqual([])
  })
})

describe('a body as text', () => {
  it('E-35 that is saved as it was shown is the same bytes', async () => {
    const body = `\uFEFF{ "b":1.0,"10":2, "g":"\\u00f6" }`

    expect(await editing(body, json, (shown) => shown)).toBe(body)
    expect(await editing(body, json, (shown) => `${shown}\n`)).toBe(body)
  })

  it('E-34 is written as compactly as it was, with all digits and escapes as they are', async () => {
    expect(await editing('\uFEFF{"b":1.0,"10":9007199254740993,"g":"\\u00f6ö"}', json, (shown) => shown.replace('1.0', '2.50'))).toBe(
      '\uFEFF{"b":2.50,"10":9007199254740993,"g":"\\u00f6ö"}',
    )
  })

  it('E-34 of several lines stays so', async () => {
    expect(await editing('{\n\t"a": 1\n}\n', json, (shown) => shown.replace('1', '2'))).toBe('{\n\t"a": 2\n}\n')
  })

  it('E-34 that is no JSON is shown as it is, to be corrected', async () => {
    expect(await editing('{"a":1', json, (shown) => `${shown}}`)).toBe('{"a":1}')
  })

  it('E-34 of XML is laid out and written on one line again', async () => {
    const body = '<?xml version="1.0"?><Order xmlns="urn:x"><Id>42</Id><Note>a b</Note></Order>'
    const shown = bodyText({ body: bytes(body), headers: xml })

    expect(shown.text).toBe('<?xml version="1.0"?>\n<Order xmlns="urn:x">\n  <Id>42</Id>\n  <Note>a b</Note>\n</Order>')
    expect(text(shown.bytesOf(shown.text.replace('42', '43')))).toBe(body.replace('42', '43'))
  })

  it('E-34 of XML whose blanks may mean something is shown as it is', async () => {
    const body = '<a> x <b/> </a>'

    expect(bodyText({ body: bytes(body), headers: xml }).text).toBe(body)
  })
})
