/** Where a call was made; its text is made when somebody asks for it. */
export interface CallSite {
  readonly stack?: string
}

/**
 * Remembers who called `method`. It takes a few µs, so in production (`NODE_ENV`) it is left out.
 *
 * @param method the function whose caller is meant
 */
export function callSiteOf(method: (...args: never[]) => unknown): CallSite | undefined {
  if (process.env['NODE_ENV'] === 'production') return undefined
  const { stackTraceLimit } = Error
  // One frame is wanted, and each one costs.
  Error.stackTraceLimit = 1
  const site: CallSite = {}
  Error.captureStackTrace(site, method)
  Error.stackTraceLimit = stackTraceLimit
  return site
}

/** ` at Handler.handle (/shop/handlers.ts:7:13)`; empty when the place is not known. */
export function placeText(site: CallSite | undefined): string {
  const frame = site?.stack?.split('\n').find((line) => /^\s*at /.test(line))
  return frame === undefined ? '' : ` ${frame.trim()}`
}
