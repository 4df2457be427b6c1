import { NsbError } from '../../message/nsb-error.ts'
import type { HeldMessage, HoldOptions } from '../transport.ts'
import { type HeldLimits, type LookLimits, assumedLimit } from './queue-limits.ts'

/** With so few looks left a queue is not read without being told to. */
const fewestLooks = 2
/** What is taken out of the queue spends one: it is there still when the connection is lost, and survives that. So does a free look. */
const fewestToTake = 1
/** With fewer it is said how many there are. */
const fewLooks = 5

const raiseLimit = 'Where a policy sets the limit, raise it: rabbitmqctl set_policy; one that the queue was made with stays'

const takeOut =
  'take them out and bring them back, which counts anew: nsb errors export --all --remove --file <file>, nsb errors import <file>'

export interface LooksLeftOptions {
  readonly queue: string
  readonly limits: HeldLimits
  readonly overrule: HoldOptions['overrule']
  readonly takesAll?: boolean | undefined
  readonly warn: (warning: string) => void
  /** The messages have hardly any look left: NSB_LOOKS_EXHAUSTED is about to be thrown. */
  readonly exhausted: () => void
}

/** How often messages may still be given back before the broker drops them. */
export class LooksLeft {
  readonly #options: LooksLeftOptions
  #warned = false

  constructor(options: LooksLeftOptions) {
    this.#options = options
  }

  /** Whether giving back a message once more, after so many times, would make the broker drop it. */
  isAtLimit(count: number): boolean {
    const { kind, limit } = this.#options.limits
    if (kind === 'classic' || limit === 'unlimited') return false
    // Of a limit that nobody tells only the strictest can be believed, and a policy may be stricter still.
    return limit === 'unknown' ? count >= 2 : count >= limit
  }

  /** @throws {NsbError} NSB_LOOKS_EXHAUSTED: one look more would cost messages their last delivery but one */
  check(messages: readonly HeldMessage[]): void {
    const { exhausted, limits, overrule, queue, takesAll, warn } = this.#options
    if (limits.kind === 'classic' || limits.limit === 'unlimited') return
    const limit = limits.limit === 'unknown' ? assumedLimit : limits.limit
    const left = limit - messages.reduce((most, message) => Math.max(most, message.givenBack), 0)
    const spendsNone = takesAll === true || !limits.giveBacksCount
    if (left < (spendsNone ? fewestToTake : fewestLooks) && !overrule.includes('NSB_LOOKS_EXHAUSTED')) {
      exhausted()
      throw looksExhausted(queue, limits, left)
    }
    if (left >= fewLooks || this.#warned) return
    this.#warned = true
    if (spendsNone) return
    warn(
      `Messages of queue '${queue}' can be looked at ${Math.max(0, left)} more time(s) before the broker drops them. ${raiseLimit}. Or ${takeOut}.`,
    )
  }
}

/** @param left looks that are left; undefined: as few as when it was looked at last */
export function looksExhausted(queue: string, { giveBacksCount, limit: known }: LookLimits, left: number | undefined): NsbError {
  const limit = typeof known === 'number' ? known : assumedLimit
  return new NsbError({
    code: 'NSB_LOOKS_EXHAUSTED',
    message: `Queue '${queue}' is not read: ${left === undefined ? 'its messages have been given back almost as often as they may be' : `its messages were ${giveBacksCount ? 'given back' : 'delivered in vain'} ${limit - left} times`}, and after ${limit} the broker drops them.`,
    suggestions: [
      raiseLimit,
      `With --force, ${takeOut}`,
      'Or read it all the same: --force; what is at its limit then moves to the end of the queue, and is lost if nsb is killed meanwhile (kill -9)',
    ],
    details: { queue, limit, ...(left === undefined ? {} : { looksLeft: left }) },
  })
}
