import fc from 'fast-check'

export const inCampaign = process.env['NSB_CAMPAIGN'] === '1'

/** How often a property is tried. */
export const numRuns = inCampaign ? 100_000 : 500

/** Any text at all: lone surrogates, control characters and names that mean something to JavaScript. */
export const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCodePoint(code)) }),
  fc.constantFrom('', '__proto__', 'constructor', 'toString', '\ud800', '\udc00', '\u0000', '\ufeff', '\r\n'),
)

/** Any dictionary; `__proto__` is a key like others. */
export const dictionaryOf = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string> = anyText): fc.Arbitrary<Record<string, string>> =>
  fc.array(fc.tuple(key, value), { maxLength: 12 }).map((entries) => Object.fromEntries(entries))
