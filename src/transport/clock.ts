/** The time, replaceable in tests. */
export interface Clock {
  /** ms since 1970, with a fraction where the platform has one */
  now(): number
  /** Calls `then` once, `ms` from now; the returned function cancels. */
  after(ms: number, then: () => void): () => void
}

let origin = performance.timeOrigin

export const systemClock: Clock = {
  now() {
    // The fine clock knows nothing of a sleeping laptop or a corrected time, so it follows the wall clock where they part.
    const fine = origin + performance.now()
    const wall = Date.now()
    if (Math.abs(fine - wall) < 5) return fine
    origin += wall - fine
    return wall
  },
  after(ms, then) {
    // setTimeout fires at once for more than 2^31 - 1 ms, so a longer wait is cut; what waits that long looks again.
    const timer = setTimeout(then, Math.min(ms, 2_147_483_647))
    return () => clearTimeout(timer)
  },
}
