import { describe, expect, it } from 'vitest'
import { NsbError } from '../../../../src/message/nsb-error.ts'
import { type HeaderChanges, changeHeaders } from '../../../../src/toolkit/errors/edit/header-changes.ts'
import { failureHeaders } from '../../../cli/nsb.ts'

const headers = failureHeaders('m1', { Tenant: 'acme', 'NServiceBus.ReplyToAddress': 'Web' })
const change = (changes: Partial<HeaderChanges>) => changeHeaders(headers, { set: {}, unset: [], ...changes })

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return error instanceof NsbError ? error.code : String(error)
  }
  return 'nothing was thrown'
}

describe('changes of headers', () => {
  it('E-34 set and remove', () => {
    const { changed, headers: after } = change({ set: { Region: 'eu' }, unset: ['Tenant'] })

    expect(changed).toEqual(['Region', 'Tenant'])
    expect(after['Region']).toBe('eu')
    expect(Object.keys(after)).not.toContain('Tenant')
  })

  it('E-35 are none where the value is what it was', () => {
    expect(change({ set: { Tenant: 'acme', 'NServiceBus.MessageId': 'm1' } }).changed).toEqual([])
  })

  it.each([
    'NServiceBus.MessageId',
    'NServiceBus.FailedQ',
    'NServiceBus.TimeOfFailure',
    'NServiceBus.ExceptionInfo.StackTrace',
    'nservicebus.messageid',
  ])('E-35 are refused for the locked header %s', (name) => {
    expect(codeOf(() => change({ set: { [name]: 'another' } }))).toBe('NSB_LOCKED_HEADER')
  })

  it('E-35 never remove a locked header', () => {
    expect(codeOf(() => change({ unset: ['NServiceBus.FailedQ'] }))).toBe('NSB_LOCKED_HEADER')
  })

  it('E-35 may add a locked header that was absent, which is told', () => {
    expect(change({ set: { 'NServiceBus.RelatedTo': 'x' } }).addedLocked).toEqual(['NServiceBus.RelatedTo'])
  })

  it('E-35 say which of them are sensitive, removed and added ones too', () => {
    expect(change({ set: { 'NServiceBus.To': 'Other' }, unset: ['NServiceBus.ReplyToAddress'] }).sensitive).toEqual([
      'NServiceBus.To',
      'NServiceBus.ReplyToAddress',
    ])
  })

  it.each([
    ['a header that is not there', { unset: ['Tennant'] }],
    ['both at once', { set: { Tenant: 'x' }, unset: ['Tenant'] }],
    ['a name that is none', { set: { ' ': 'x' } }],
    ['a name with a control character', { set: { 'a\nb': 'x' } }],
    ['the name of the prototype', { set: Object.fromEntries([['__proto__', 'x']]) }],
  ])('E-35 are refused: %s', (_, changes) => {
    expect(codeOf(() => change(changes))).toBe('NSB_BAD_HEADER')
  })
})
