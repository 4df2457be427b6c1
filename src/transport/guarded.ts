import { errorText } from '../message/nsb-error.ts'
import type { ReceiveOptions } from './transport.ts'

/**
 * A function of the user that is only told something: a logger, an observer. What it throws, or rejects with, is written to stderr and
 * goes no further, because the message in hand must not pay for it.
 */
export function guarded<A extends readonly unknown[]>(tell: (...told: A) => unknown): (...told: A) => void {
  return (...told) => {
    try {
      const telling = tell(...told)
      if (telling instanceof Promise) telling.catch(report)
    } catch (error) {
      report(error)
    }
  }
}

/** The same options, whose listeners can do no harm. */
export function guardedOptions(options: ReceiveOptions): ReceiveOptions {
  return {
    ...options,
    onSettled: guarded((message) => options.onSettled(message)),
    onPoison: guarded((poison) => options.onPoison(poison)),
    onCriticalError: guarded((error) => options.onCriticalError(error)),
  }
}

function report(error: unknown): void {
  process.stderr.write(`warn nsb: A logger or an observer failed: ${errorText(error)}\n`)
}
