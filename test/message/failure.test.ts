import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import {
  endpointOf,
  hostOf,
  isSystemMessage,
  isTextBody,
  kindOf,
  narrowTypeOf,
  readFailure,
  receivingEndpointOf,
  senderOf,
  typeOf,
} from '../../src/message/failure.ts'

describe('the unique id', () => {
  it.each([
    ['6f9619ff-8b86-d011-b42d-00c04fc964ff', 'Sales', 'c1186253-233e-a23e-6a2b-a3154fbfa7bc'],
    ['m1', 'Sales.Ö', '89f4729d-4c35-45cc-0171-5f9bd6162474'],
    ['37a16d0f-ac5e-4ae0-8236-b5090005d293', 'Shop.Server', 'acc35ddb-8551-43b8-82bc-eb4f2077f70c'],
  ])('E-1 of message %s in %s is %s', (messageId, endpoint, uniqueId) => {
    const headers = { 'NServiceBus.MessageId': messageId, 'NServiceBus.ProcessingEndpoint': endpoint }

    assert.equal(readFailure(headers, 'native').uniqueId, uniqueId)
  })

  it('E-2 is the one of an earlier retry, whatever message id and endpoint are', () => {
    const headers = {
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.ProcessingEndpoint': 'Other',
      'ServiceControl.Retry.UniqueMessageId': 'As-It-Is',
    }

    assert.equal(readFailure(headers, 'native').uniqueId, 'As-It-Is')
  })

  it('E-3 takes the endpoint from the failed queue, then from the reply address, up to the machine', () => {
    const sales = readFailure({ 'NServiceBus.MessageId': 'm', 'NServiceBus.ProcessingEndpoint': 'Sales' }, 'n').uniqueId

    assert.equal(readFailure({ 'NServiceBus.MessageId': 'm', 'NServiceBus.FailedQ': 'Sales@web-1' }, 'n').uniqueId, sales)
    assert.equal(readFailure({ 'NServiceBus.MessageId': 'm', 'NServiceBus.ReplyToAddress': 'Sales@web-1' }, 'n').uniqueId, sales)
  })

  it('E-3 exists for a message that says nothing about an endpoint, which is a poison message', () => {
    const failed = readFailure({}, 'native')

    assert.equal(failed.kind, 'poison')
    assert.equal(failed.messageId, 'native')
    assert.match(failed.uniqueId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it('is the file name when the headers cannot be read', () => {
    assert.equal(readFailure({}, 'hello', true).uniqueId, 'hello')
  })
})

describe('the kind of an entry', () => {
  it.each([
    [{ 'NServiceBus.FailedQ': 'Sales' }, 'failure'],
    [{ 'NServiceBus.FailedQ': '' }, 'poison'],
    [{ 'ServiceControl.Retry.Successful': '2026-11-21 00:00:00:000000 Z', 'NServiceBus.FailedQ': 'Sales' }, 'ack'],
    [{ 'MT-Reason': 'fault' }, 'masstransit'],
    [{ 'x-first-death-queue': 'Sales' }, 'dlx'],
  ])('%j is %s', (headers, kind) => assert.equal(kindOf(headers), kind))
})

describe('the type', () => {
  it('E-8 ends at the first comma of the whole header', () => {
    assert.equal(typeOf({ 'NServiceBus.EnclosedMessageTypes': 'A.B, Asm;I.C, Asm' }), 'A.B')
    assert.equal(typeOf({ 'NServiceBus.EnclosedMessageTypes': 'A.B;C.D' }), 'A.B;C.D')
  })

  it('is shown by its last segment in narrow tables', () => {
    assert.equal(narrowTypeOf('Shop.Messages.Outer+PlaceOrder;C.D'), 'PlaceOrder')
  })
})

describe('where it failed and who sent it', () => {
  it('takes the host from display name, machine, or failed queue', () => {
    assert.equal(hostOf({ '$.diagnostics.hostdisplayname': 'web-1', 'NServiceBus.ProcessingMachine': 'web-2' }), 'web-1')
    assert.equal(hostOf({ 'NServiceBus.ProcessingMachine': 'web-2', 'NServiceBus.FailedQ': 'Sales@web-3' }), 'web-2')
    assert.equal(hostOf({ 'NServiceBus.FailedQ': 'Sales@web-3' }), 'web-3')
    assert.equal(hostOf({}), 'unknown')
  })

  it('reads the host id in any form of a guid, and makes one when there is none', () => {
    const headers = { 'NServiceBus.ProcessingEndpoint': 'Sales', '$.diagnostics.hostid': '{9A5BC0A5-5361-F127-43B6-46D323F22728}' }

    assert.equal(receivingEndpointOf(headers)?.hostId, '9a5bc0a55361f12743b646d323f22728')
    assert.match(receivingEndpointOf({ 'NServiceBus.FailedQ': 'Sales' })?.hostId ?? '', /^[0-9a-f]{32}$/)
    assert.equal(receivingEndpointOf({ 'NServiceBus.ReplyToAddress': 'Sales' }), undefined)
  })

  it('names the sender only when endpoint and machine are there, else by its address', () => {
    const address = { 'NServiceBus.OriginatingAddress': 'Web@web-1' }

    assert.deepEqual(senderOf({ ...address, 'NServiceBus.OriginatingEndpoint': 'Site' }), { endpoint: 'Web', machine: 'web-1' })
    assert.deepEqual(senderOf({ 'NServiceBus.OriginatingEndpoint': 'Site', 'NServiceBus.OriginatingMachine': 'w' }), {
      endpoint: 'Site',
      machine: 'w',
    })
    assert.equal(endpointOf({}), undefined)
  })
})

describe('a damaged header', () => {
  it('leaves the time unknown instead of failing', () => {
    assert.equal(readFailure({ 'NServiceBus.TimeOfFailure': '2026-13-99 nonsense' }, 'n').failedAt, undefined)
    assert.equal(readFailure({ 'NServiceBus.TimeOfFailure': '2026-11-21T00:00:00Z' }, 'n').failedAt, Date.UTC(2026, 10, 21))
  })
})

describe('how often it was replayed', () => {
  it.each([
    [{}, 0],
    [{ 'Nsb.Replay.Count': '3' }, 3],
    [{ 'ServiceControl.Retry.UniqueMessageId': 'x' }, 1],
    [{ 'Nsb.Replay.Count': 'many' }, 1],
  ])('%j gives %d', (headers, count) => assert.equal(readFailure(headers, 'n').replayed, count))
})

describe('the body', () => {
  it.each([
    [{ 'NServiceBus.ContentType': 'application/json; charset=utf-8' }, true],
    [{ 'NServiceBus.ContentType': 'TEXT/plain' }, true],
    [{ 'NServiceBus.ContentType': 'application/json', 'Content-Encoding': 'gzip' }, false],
    [{ 'NServiceBus.ContentType': 'application/json+binary' }, false],
    [{}, false],
  ])('with %j is text: %s', (headers, text) => assert.equal(isTextBody(headers), text))

  it('belongs to the platform when it is a control message', () => {
    assert.equal(isSystemMessage({ 'NServiceBus.ControlMessage': 'True' }), true)
    assert.equal(isSystemMessage({}), false)
  })
})
