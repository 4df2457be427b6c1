import { randomBytes } from 'node:crypto'

// Crockford's alphabet: no I, L, O and U.
const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Names one run of a writing command: 26 characters that sort by time, as a ULID does. */
export function newOperationId(now: number): string {
  const bits = (BigInt(Math.floor(now)) << 80n) | BigInt(`0x${randomBytes(10).toString('hex')}`)
  return Array.from({ length: 26 }, (_, index) => digits[Number((bits >> BigInt(5 * (25 - index))) & 31n)]).join('')
}

/** When it was begun, in ms since 1970. @param operation as {@link newOperationId} gives it */
export function timeOfOperation(operation: string): number {
  let time = 0
  // 10 digits of 5 bits, and 16 that are random.
  for (const digit of operation.slice(0, 10)) time = time * 32 + digits.indexOf(digit)
  return time
}
