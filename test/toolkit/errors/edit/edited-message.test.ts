import { describe, expect, it } from 'vitest'
import { readFailure } from '../../../../src/message/failure.ts'
import { editedMessage, newMessageId } from '../../../../src/toolkit/errors/edit/edited-message.ts'
import { failureHeaders } from '../../../cli/nsb.ts'

const body = new TextEncoder().encode('{}')
const marks = { target: 'Sales', staysFailed: false, messageId: 'new-id' }

function edited(
  headers: Readonly<Record<string, string>>,
  { change = {}, native = {}, ...more }: { change?: Record<string, string>; native?: Record<string, unknown> } & Partial<typeof marks> = {},
) {
  const failed = readFailure(headers, 'native-1')
  return {
    failed,
    message: editedMessage({ headers, native }, failed, { headers: { ...headers, ...change }, body }, { ...marks, ...more }),
  }
}

const replayedBefore = {
  'ServiceControl.Retry.UniqueMessageId': 'c1186253-233e-a23e-6a2b-a3154fbfa7bc',
  'ServiceControl.Retry.AcknowledgementQueue': 'Particular.ServiceControl',
  'ServiceControl.EditOf': 'an-older-original',
  'Nsb.Replay.Count': '2',
  'Nsb.Replay.At': '2026-11-21 00:00:00:000000 Z',
  'Nsb.Replay.Operation': '01JD3K',
}

describe('the copy of an edited message', () => {
  it('E-34 has a new message id, names the original, and goes where it failed', () => {
    const { failed, message } = edited(failureHeaders('m1', { Tenant: 'acme' }))

    expect(message).toMatchObject({ id: 'new-id', to: { exactQueue: 'Sales' }, body })
    expect(message.nativeId).toBeUndefined()
    expect(message.headers).toEqual({
      'NServiceBus.MessageId': 'new-id',
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages',
      Tenant: 'acme',
      'ServiceControl.EditOf': failed.uniqueId,
    })
  })

  it('E-34 has no mark of earlier replays, so that a new failure is a new entry', () => {
    const { failed, message } = edited(failureHeaders('m1', replayedBefore))

    expect(failed.uniqueId).toBe('c1186253-233e-a23e-6a2b-a3154fbfa7bc')
    expect(Object.keys(message.headers).filter((name) => /^(ServiceControl|Nsb)\./.test(name))).toEqual(['ServiceControl.EditOf'])
    expect(message.headers['ServiceControl.EditOf']).toBe(failed.uniqueId)
    const again = readFailure(failureHeaders('new-id', message.headers), 'native-2')
    expect(again.uniqueId).not.toBe(failed.uniqueId)
  })

  it('E-34 stays a failure with a new identity when it goes back into the error queue', () => {
    const headers = failureHeaders('m1', { ...replayedBefore, '$.diagnostics.hostid': 'h', CC: 'x', 'MT-Reason': 'fault' })
    const { failed, message } = edited(headers, { staysFailed: true, target: 'error' })

    const again = readFailure(message.headers, 'native-2')
    expect(again).toMatchObject({ kind: 'failure', messageId: 'new-id', queue: 'Sales', endpoint: 'Sales', failedAt: failed.failedAt })
    expect(again.uniqueId).not.toBe(failed.uniqueId)
    expect(message.headers).toMatchObject({ '$.diagnostics.hostid': 'h', 'MT-Reason': 'fault' })
    expect(message.headers['NServiceBus.ExceptionInfo.StackTrace']).toBe(headers['NServiceBus.ExceptionInfo.StackTrace'])
    expect(message.headers['CC']).toBeUndefined()
  })

  it('E-34 keeps native properties, but for those that stand for a header that was changed', () => {
    const native = { contentType: 'application/json', priority: 4, replyTo: 'Web', type: 'Shop.Messages.PlaceOrder' }
    const headers = failureHeaders('m1', { 'NServiceBus.ReplyToAddress': 'Web' })

    expect(edited(headers, { native }).message.native).toEqual(native)
    expect(edited(headers, { native, change: { 'NServiceBus.ReplyToAddress': 'Shop' } }).message.native).toEqual({
      contentType: 'application/json',
      priority: 4,
      type: 'Shop.Messages.PlaceOrder',
    })
  })

  it('E-34 gets another id each time', () => {
    expect(newMessageId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/)
    expect(newMessageId()).not.toBe(newMessageId())
  })
})
