import { randomBytes } from 'node:crypto'

// Crockford's alphabet: no I, L, O and U.
const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** Names one run of a writing command: 26 characters that sort by time, as a ULID does. */
export function newOperationId(now: number): string {
  const bits = (BigInt(Math.floor(now)) << 80n) | BigInt(`0x${randomBytes(10).toString('hex')}`)
  return Array.from({ length: 26 }, (_, index) => digits[Number((bits >> BigInt(5 * (25 - index))) & 31n)]).join('')
}
