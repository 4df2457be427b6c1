import { randomBytes } from 'node:crypto'
import { Decimal } from '../serialization/decimal.ts'
import { printableJson } from './printable.ts'

/** A document as JSON text in which decimals and large whole numbers keep every digit. */
export function losslessJson(document: unknown): string {
  // JSON.stringify cannot write a number from its digits, so they go through it as marked texts; nobody can guess the mark.
  const mark = randomBytes(12).toString('hex')
  const text = JSON.stringify(
    document,
    function (this: Record<string, unknown>, key: string, value: unknown) {
      const original = this[key]
      if (Decimal.is(original)) return `${mark}${String(original)}`
      return typeof original === 'bigint' ? `${mark}${original}` : value
    },
    2,
  )
  return printableJson(text).replaceAll(new RegExp(`"${mark}([^"]*)"`, 'g'), '$1')
}
