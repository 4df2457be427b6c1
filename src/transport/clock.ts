/** The time, replaceable in tests. */
export interface Clock {
  /** ms since 1970, with a fraction where the platform has one */
  now(): number
  /** Calls `then` once, `ms` from now; the returned function cancels. */
  after(ms: number, then: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, then) {
    // setTimeout fires at once for more than 2^31 - 1 ms, so a longer wait is cut; what waits that long looks again.
    const timer = setTimeout(then, Math.min(ms, 2_147_483_647))
    return () => clearTimeout(timer)
  },
}
