/** Lays JSON out over several lines without reading its values, so every digit and escape stays; other text is given back as it is. */
export function indentJson(text: string): string {
  try {
    JSON.parse(text)
  } catch {
    return text
  }
  let out = ''
  let depth = 0
  const newLine = (): string => `\n${'  '.repeat(depth)}`
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    if (token === '}' || token === ']') {
      depth--
      out = /[{[]$/.test(out.trimEnd()) ? out.trimEnd() + token : out + newLine() + token
    } else if (token === '{' || token === '[') {
      depth++
      out += token + newLine()
    } else if (token === ',') out += token + newLine()
    else out += token === ':' ? ': ' : token
  }
  return out
}
