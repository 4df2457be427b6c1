import { NsbError } from '../message/nsb-error.ts'

const grammar = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

// A registered symbol, so that a value made by another loaded copy of the library is still known as a decimal.
const decimalSymbol: unique symbol = Symbol.for('nsbus.decimal') as never

/**
 * An exact number: the digits as they stand on the wire, `123.40` and 9007199254740993 included.
 * It does no arithmetic; as an operand it is the nearest JavaScript number.
 */
export class Decimal {
  /** The number in JSON's grammar. */
  readonly digits: string

  private constructor(digits: string) {
    this.digits = digits
  }

  get [decimalSymbol](): true {
    return true
  }

  /**
   * @param value a text keeps its digits, zeros at the end included; a number gives its shortest text
   * @throws {NsbError} NSB_BAD_DECIMAL
   */
  static of(value: number | bigint | string | Decimal): Decimal {
    if (Decimal.is(value)) return value
    const digits = Object.is(value, -0) ? '-0' : String(value)
    if (!grammar.test(digits))
      throw new NsbError({
        code: 'NSB_BAD_DECIMAL',
        message: `'${digits.slice(0, 40)}' is not a decimal number.`,
        suggestions: [`Write digits with a point: Decimal.of('123.40')`],
      })
    return new Decimal(digits)
  }

  static is(value: unknown): value is Decimal {
    return typeof value === 'object' && value !== null && decimalSymbol in value
  }

  toString(): string {
    return this.digits
  }

  toNumber(): number {
    return Number(this.digits)
  }

  valueOf(): number {
    return Number(this.digits)
  }

  toJSON(): number {
    return Number(this.digits)
  }

  /** The same value, `1.0` and `1e0` included. */
  equals(other: Decimal | number | bigint | string): boolean {
    const [a, b] = [parts(this.digits), parts(Decimal.of(other).digits)]
    return a.negative === b.negative && a.significant === b.significant && a.exponent === b.exponent
  }

  /** True for a whole number of any size. */
  isInteger(): boolean {
    return parts(this.digits).exponent >= 0n
  }

  /** How many digits stand before the decimal point; 0 when the value is below 1. */
  integerDigits(): number {
    const { significant, exponent } = parts(this.digits)
    return Number(significant === '' ? 0n : BigInt(significant.length) + exponent)
  }
}

/** No exponent that anybody can calculate with has more digits; what has more is equal to its own text alone. */
const longestPower = 1000

/** The value is ±significant × 10^exponent; zeros at either end are cut, and zero has neither digits nor sign. */
function parts(digits: string): { negative: boolean; significant: string; exponent: bigint } {
  const [mantissa = '', power = '0'] = digits.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.')
  const all = `${whole}${fraction}`
  // No regular expression: it would try to find the end of every row of zeros.
  let [start, end] = [0, all.length]
  while (end > 0 && isZero(all, end - 1)) end--
  while (start < end && isZero(all, start)) start++
  if (start === end) return { negative: false, significant: '', exponent: 0n }
  const negative = digits.startsWith('-')
  if (power.length > longestPower) return { negative, significant: digits, exponent: power.startsWith('-') ? -farthest : farthest }
  return { negative, significant: all.slice(start, end), exponent: BigInt(power) - BigInt(fraction.length) + BigInt(all.length - end) }
}

const farthest = 10n ** BigInt(longestPower)

const isZero = (digits: string, at: number): boolean => digits.charCodeAt(at) === 0x30
