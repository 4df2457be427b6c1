import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { readFailure } from '../../../src/message/failure.ts'
import { replayHeaders } from '../../../src/toolkit/errors/copy.ts'

const marks = { operation: '01JD3K', now: Date.UTC(2026, 10, 21), acknowledgeTo: undefined }
const copyOf = (
  headers: Record<string, string>,
  more: Partial<Parameters<typeof replayHeaders>[2]> = {},
): Readonly<Record<string, string>> => replayHeaders(headers, readFailure(headers, 'native'), { ...marks, ...more })

describe('the copy a replay sends', () => {
  it('E-21 E-42 has lost the failure, its retries and what the broker added', () => {
    const gone = {
      'NServiceBus.FailedQ': 'Sales',
      'NServiceBus.TimeOfFailure': 'x',
      'NServiceBus.Retries': '3',
      'NServiceBus.Retries.Timestamp': 'x',
      'NServiceBus.FLRetries': '5',
      'NServiceBus.DeliverAt': 'x',
      'NServiceBus.ExceptionInfo.Message': 'x',
      'NServiceBus.ExceptionInfo.Data.Handler type': 'x',
      'NServiceBus.ProcessingEndpoint': 'Sales',
      'NServiceBus.ProcessingMachine': 'web-1',
      'NServiceBus.ProcessingStarted': 'x',
      'NServiceBus.ProcessingEnded': 'x',
      '$.diagnostics.hostid': 'x',
      '$.diagnostics.hostdisplayname': 'x',
      'ServiceControl.EditOf': 'x',
      'ServiceControl.TargetEndpointAddress': 'x',
      'ServiceControl.Retry.StagingId': 'x',
      'ServiceControl.Retry.Attempt.MessageId': 'x',
      'ServiceControl.Retry.AcknowledgementQueue': 'gone',
      'x-death': 'x',
      'x-first-death-queue': 'x',
      'x-last-death-reason': 'x',
      'x-delivery-count': '9',
      CC: 'x',
      'MT-Reason': 'fault',
      'MT-Fault-Message': 'x',
      'MT-Fault-RetryCount': '3',
    }

    const copy = copyOf({ 'NServiceBus.MessageId': 'm1', ...gone })

    assert.deepEqual(
      Object.keys(gone).filter((name) => name in copy),
      [],
    )
  })

  it('keeps everything else, in its order', () => {
    const kept = {
      'NServiceBus.MessageId': 'm1',
      'NServiceBus.ConversationId': 'c',
      'NServiceBus.CorrelationId': 'c',
      'NServiceBus.TimeSent': 't',
      'NServiceBus.Timeout.Expire': 't',
      'NServiceBus.TimeToBeReceived': '00:01:00',
      '$.diagnostics.originating.hostid': 'x',
      traceparent: '00-1',
      Tenant: 'blue',
    }

    assert.deepEqual(Object.entries(copyOf(kept)).slice(0, 9), Object.entries(kept))
  })

  it('E-21 carries the unique id from before, and counts the replays', () => {
    const headers = { 'NServiceBus.MessageId': 'm1', 'NServiceBus.ProcessingEndpoint': 'Sales.Ö', 'NServiceBus.FailedQ': 'Sales.Ö' }

    const first = copyOf(headers)
    const second = copyOf({ ...first, 'NServiceBus.ProcessingEndpoint': 'Other', 'NServiceBus.FailedQ': 'Other' })

    assert.equal(first['ServiceControl.Retry.UniqueMessageId'], '89f4729d-4c35-45cc-0171-5f9bd6162474')
    assert.equal(first['Nsb.Replay.Count'], '1')
    assert.equal(first['Nsb.Replay.At'], '2026-11-21 00:00:00:000000 Z')
    assert.equal(first['Nsb.Replay.Operation'], '01JD3K')
    assert.equal(second['ServiceControl.Retry.UniqueMessageId'], first['ServiceControl.Retry.UniqueMessageId'])
    assert.equal(second['Nsb.Replay.Count'], '2')
  })

  it('has the message id as a header even where it was the native one', () => {
    assert.equal(copyOf({ 'NServiceBus.FailedQ': 'Sales' })['NServiceBus.MessageId'], 'native')
  })

  it('names a queue for the acknowledgement only when somebody reads it', () => {
    const name = 'ServiceControl.Retry.AcknowledgementQueue'

    assert.equal(copyOf({ [name]: 'old' }, { acknowledgeTo: 'nsb.acks' })[name], 'nsb.acks')
    assert.equal(copyOf({ [name]: 'old' }, { keepAcknowledgeTo: true })[name], 'old')
    assert.equal(copyOf({})[name], undefined)
  })
})
