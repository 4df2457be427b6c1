import type { Headers } from '../transport/transport.ts'
import { Header } from '../message/headers.ts'
import { NsbError } from '../message/nsb-error.ts'
import { parseTimestamp } from '../message/wire-formats.ts'
import { isUnrecoverable } from './errors.ts'
import { isInstance } from './thrown.ts'

export interface RecoverabilitySettings {
  /** Attempts right after the first, in each round. Default 5. */
  readonly immediateRetries: number
  /** Rounds after the first. Default 3. */
  readonly delayedRetries: number
  /** The first wait; the n-th is n times as long. Default 10 s. */
  readonly delayIncreaseMs: number
  /** Error classes, besides `UnrecoverableError`, that no retry can mend; subclasses count. */
  readonly unrecoverable: readonly (abstract new (
    ...args: never[]
  ) => unknown)[]
  readonly errorQueue: string
}

export const defaultRetries = { immediateRetries: 5, delayedRetries: 3, delayIncreaseMs: 10_000 } as const

/** One failed attempt, as a policy sees it. */
export interface Failure {
  readonly error: unknown
  readonly messageId: string
  readonly headers: Headers
  /** Failed attempts of this delivery round, this one included. */
  readonly failedAttempts: number
  /** Delayed retries already made. */
  readonly delayedRetries: number
  /** ms since 1970 */
  readonly now: number
}

export type RecoverabilityAction =
  | { readonly kind: 'retryNow' }
  | { readonly kind: 'retryLater'; readonly delayMs: number }
  | { readonly kind: 'moveToError'; readonly queue: string }
  | { readonly kind: 'discard'; readonly reason: string }

/** Replaces the default policy; it may call `byDefault`, with changed numbers too. */
export type RecoverabilityPolicy = (
  failure: Failure,
  byDefault: (changed?: Partial<RecoverabilitySettings>) => RecoverabilityAction,
) => RecoverabilityAction

const day = 24 * 3_600_000

/** @source NServiceBus DefaultRecoverabilityPolicy */
export function defaultRecoverability(failure: Failure, settings: RecoverabilitySettings): RecoverabilityAction {
  const moveToError: RecoverabilityAction = { kind: 'moveToError', queue: settings.errorQueue }
  const { error } = failure
  if (isUnrecoverable(error) || settings.unrecoverable.some((type) => isInstance(error, type))) return moveToError
  if (failure.failedAttempts <= settings.immediateRetries) return { kind: 'retryNow' }
  if (failure.delayedRetries < settings.delayedRetries && !lastRetryIsStale(failure))
    return { kind: 'retryLater', delayMs: settings.delayIncreaseMs * (failure.delayedRetries + 1) }
  return moveToError
}

/**
 * What a policy of the user answered, before it is acted on.
 *
 * @throws {NsbError} NSB_BAD_RETRIES when it is no action, its delay below zero or its queue blank
 */
export function checkedAction(action: RecoverabilityAction): RecoverabilityAction {
  if (isAction(action)) return action
  throw new NsbError({
    code: 'NSB_BAD_RETRIES',
    message: `The recoverability policy answered ${JSON.stringify(action) ?? String(action)}, which is no action.`,
    suggestions: ['recoverability: (failure, byDefault) => byDefault()', `return { kind: 'discard', reason: '…' }`],
  })
}

function isAction(action: RecoverabilityAction | undefined): boolean {
  switch (action?.kind) {
    case 'retryNow':
    case 'discard':
      return true
    case 'retryLater':
      return Number.isFinite(action.delayMs) && action.delayMs >= 0
    case 'moveToError':
      return typeof action.queue === 'string' && action.queue.trim() !== ''
    default:
      return false
  }
}

/**
 * `NServiceBus.Retries` as a number; missing or unreadable counts as none. Anybody may have written it, so it is never below zero: a
 * message would otherwise be retried for ever, and without a delay.
 */
export function delayedRetriesOf(headers: Headers): number {
  const text = headers[Header.Retries]
  return text !== undefined && /^\s*[+-]?\d{1,9}\s*$/.test(text) ? Math.max(0, Number(text)) : 0
}

function lastRetryIsStale(failure: Failure): boolean {
  const text = failure.headers[Header.RetriesTimestamp]
  const last = text === undefined ? undefined : parseTimestamp(text)
  return last !== undefined && failure.now - last > day
}
