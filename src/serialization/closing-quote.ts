/**
 * Where a JSON string ends whose opening quote is at `open`: the index of its closing quote, -1 without one.
 *
 * No regular expression: one that skips escapes exhausts the stack on a string of some megabytes.
 */
export function closingQuote(text: string, open: number): number {
  let end = text.indexOf('"', open + 1)
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

function isEscaped(text: string, at: number): boolean {
  let first = at
  while (text.charCodeAt(first - 1) === 0x5c) first--
  return (at - first) % 2 === 1
}
