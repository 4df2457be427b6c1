import { NsbError } from '../../message/nsb-error.ts'

/** The names of a message type that is to be written. */
export interface TypeNames {
  /** `PlaceOrder`: the class. */
  readonly short: string
  /** `Shop.PlaceOrder`: on the wire. */
  readonly full: string
  /** `place-order`: the file, without extension. */
  readonly file: string
}

/** What is not written in PascalCase only because it is spelled otherwise. */
const keywords = new Set(
  'abstract any as async await base bool boolean break byte case catch char class const continue debugger decimal default delegate delete do double else enum event export extends false finally fixed float for foreach function get if implements import in int interface internal is let lock long namespace native new null number object operator out override package params private protected public readonly record ref return sealed set short static string struct super switch symbol this throw true try type typeof undefined unknown using var virtual void volatile while with yield'.split(
    ' ',
  ),
)

/** A class of that name would hide one that every file uses. */
const globals = new Set(
  'Array ArrayBuffer Boolean Buffer DataView Date Decimal Error Function Infinity Intl JSON Map Math NaN Number Object Promise Proxy Reflect RegExp Set String Symbol WeakMap WeakSet'.split(
    ' ',
  ),
)

const pascalCase = /^[A-Z][A-Za-z0-9]*$/

/**
 * Checks the name of a message as it was typed, and gives its full name.
 *
 * @param given `PlaceOrder`, or with a namespace of its own: `Shop.Sales.PlaceOrder`
 * @param namespace for a name without one
 * @throws {NsbError} NSB_BAD_NAME
 */
export function typeNames(given: string, namespace: string): TypeNames {
  const segments = given.split('.')
  for (const segment of segments) checkSegment(segment, given)
  const short = segments.at(-1) as string
  if (globals.has(short))
    throw badName(
      given,
      `'${short}' is a class of JavaScript itself`,
      `Say what it is about: ${segments.length > 1 ? `${segments.slice(0, -1).join('.')}.` : ''}Order${short}`,
    )
  const full = segments.length > 1 ? given : `${namespace}.${short}`
  return { short, full, file: kebabCase(short) }
}

/** @throws {NsbError} NSB_BAD_NAME */
export function checkNamespace(namespace: string): string {
  for (const segment of namespace.split('.')) checkSegment(segment, namespace)
  return namespace
}

function checkSegment(segment: string, whole: string): void {
  if (keywords.has(segment))
    throw badName(whole, `'${segment}' is a reserved word`, `Begin with a capital letter, and say what it is about: PlaceOrder`)
  if (/[/\\]/.test(whole))
    throw badName(whole, 'it is a path, not a name', 'Give the name alone, and the folder with --dir: PlaceOrder --dir src/messages')
  if (segment === '') throw badName(whole, 'it has a dot at an end, or two in a row', 'Write Namespace.Name: Shop.PlaceOrder')
  if (!pascalCase.test(segment)) {
    const better = toPascalCase(whole.split('.').map(toPascalCase).join('.'))
    throw badName(
      whole,
      'names are written in PascalCase, with letters and digits only',
      pascalCase.test(better.replaceAll('.', '')) ? `Write ${better}` : 'Write it like PlaceOrder',
    )
  }
}

function badName(given: string, why: string, suggestion: string): NsbError {
  return new NsbError({
    code: 'NSB_BAD_NAME',
    message: `'${given}' cannot be the name of a message: ${why}.`,
    suggestions: [suggestion],
    details: { name: given },
  })
}

/** `place-order`, `place order` and `placeOrder` give `PlaceOrder`; dots stay. */
export function toPascalCase(text: string): string {
  return text
    .replace(/(?:[^A-Za-z0-9.]+|^)([A-Za-z0-9]?)/g, (_all, first: string) => first.toUpperCase())
    .replace(/\.([a-z])/g, (_all, first: string) => `.${first.toUpperCase()}`)
}

/** `PlaceOrder` gives `place-order`, `SMSSent` gives `sms-sent`. */
export function kebabCase(name: string): string {
  return wordsOf(name).join('-').toLowerCase()
}

function wordsOf(name: string): readonly string[] {
  return name.match(/[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+/g) ?? [name]
}

const irregularParticiples = new Set(
  'Begun Bought Broken Built Chosen Done Found Gone Given Held Kept Left Lost Made Met Paid Put Read Sent Set Shut Sold Taken Told Withdrawn Won Written'.split(
    ' ',
  ),
)
const answers = new Set(['Ack', 'Acknowledgement', 'Answer', 'Details', 'Reply', 'Response', 'Result', 'Status'])
const isParticiple = (word: string): boolean => /^[A-Z][a-z]+ed$/.test(word) || irregularParticiples.has(word)

/** An event says what has happened: its name ends with a participle. */
export function kindOf(name: string): 'command' | 'event' {
  const words = wordsOf(name)
  return words.length > 1 && isParticiple(words.at(-1) as string) ? 'event' : 'command'
}

/** The property that tells one message from another: `PlaceOrder` and `OrderPlaced` are about `OrderId`. */
export function idPropertyOf(name: string): string {
  const words = wordsOf(name)
  const last = words.at(-1) as string
  const about = words.length > 1 && (isParticiple(last) || answers.has(last)) ? words.slice(0, -1) : words
  if (about.length === 1 && about === words) return 'Id'
  return `${about.at(-1)}Id`
}
