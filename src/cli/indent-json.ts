import { closingQuote } from '../serialization/closing-quote.ts'
import { LaidOut } from '../toolkit/laid-out.ts'

const unquoted = /[^\s{}[\],:"]+/y

/**
 * Lays JSON out over several lines without reading its values, so every digit and escape stays. What is nested too deeply for that stays
 * as it is.
 *
 * @returns undefined when it is no JSON
 */
export function indentJson(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  const laidOut = new LaidOut(text)
  let depth = 0
  let opened = false
  for (const token of tokensOf(text)) {
    const closes = token === '}' || token === ']'
    if (closes) depth--
    if (closes ? !opened : opened) laidOut.newLine(depth)
    opened = token === '{' || token === '['
    if (opened) depth++
    laidOut.add(token === ':' ? ': ' : token)
    if (token === ',') laidOut.newLine(depth)
  }
  return laidOut.text ?? text
}

/** Of a text that is JSON, without its blanks. */
function* tokensOf(text: string): Generator<string, void> {
  for (let at = 0; at < text.length; ) {
    const sign = text[at] as string
    let end = at + 1
    if (sign === '"') end = closingQuote(text, at) + 1
    else if (!'{}[],:'.includes(sign)) {
      unquoted.lastIndex = at
      if (unquoted.test(text)) end = unquoted.lastIndex
    }
    const token = text.slice(at, end)
    at = end
    if (token.trim() !== '') yield token
  }
}
