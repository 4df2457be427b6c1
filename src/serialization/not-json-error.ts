import { NsbError } from '../message/nsb-error.ts'

/** A body that is not JSON, or a value that has no JSON form; the message says where. */
export class NotJsonError extends NsbError {
  constructor(message: string, details?: Readonly<Record<string, unknown>>, suggestions: readonly string[] = []) {
    super({ code: 'NSB_NOT_JSON', message, suggestions, ...(details ? { details } : {}) })
  }
}

/** Deeper nesting is refused, in both directions: it would exhaust the stack of whoever walks the value. */
export const maxDepth = 256
