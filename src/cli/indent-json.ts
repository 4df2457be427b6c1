/** Deeper ones are hardly read by a person, and every level makes each line longer. */
const deepest = 256

/**
 * Lays JSON out over several lines without reading its values, so every digit and escape stays.
 *
 * @returns undefined when it is no JSON, or nested too deeply
 */
export function indentJson(text: string): string | undefined {
  try {
    JSON.parse(text)
  } catch {
    return undefined
  }
  const out: string[] = []
  let depth = 0
  let opened = false
  const newLine = (): void => void out.push('\n', '  '.repeat(depth))
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    const closes = token === '}' || token === ']'
    if (closes) depth--
    if (closes ? !opened : opened) newLine()
    opened = token === '{' || token === '['
    if (opened && ++depth > deepest) return undefined
    out.push(token === ':' ? ': ' : token)
    if (token === ',') newLine()
  }
  return out.join('')
}
