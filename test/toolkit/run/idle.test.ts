import { describe, expect, it } from 'vitest'
import type { EndpointEvent } from '../../../src/runtime/engine.ts'
import { IdleWatch } from '../../../src/toolkit/run/idle.ts'

const event = (outcome: EndpointEvent['outcome'], { attempt = 1, retries }: { attempt?: number; retries?: string } = {}): EndpointEvent =>
  ({
    message: { id: 'order-42', attempt, headers: retries === undefined ? {} : { 'NServiceBus.Retries': retries } },
    outcome,
  }) as unknown as EndpointEvent

const retryLater = { kind: 'failed', error: undefined, action: { kind: 'retryLater', delayMs: 1000 } } as const
const handled = { kind: 'handled', outgoing: [] } as const
const sentToItself = { kind: 'handled', outgoing: [{ id: 'order-42', intent: 'Send', type: undefined, to: 'Shop' }] } as const

describe('an endpoint whose messages share an id', () => {
  const watch = (...events: readonly EndpointEvent[]): boolean => {
    const idle = new IdleWatch('Shop', 0, () => 0)
    for (const each of events) idle.note(each)
    return idle.isIdle(0)
  }

  it('is not idle while one of them waits for its delayed retry, although another one was handled', () => {
    expect(watch(event(retryLater), event(handled))).toBe(false)
    expect(watch(event(retryLater), event(retryLater), event(handled, { retries: '1' }))).toBe(false)
    expect(watch(event(retryLater), event(handled), event(handled, { retries: '1' }))).toBe(true)
  })

  it('is not idle while one of those that it has sent to itself has not come', () => {
    const first = { ...event(sentToItself), message: { ...event(handled).message, id: 'first' } }
    expect(watch(first, first, event(handled))).toBe(false)
    expect(watch(first, first, event(handled), event(handled, { attempt: 2 }))).toBe(true)
  })
})
