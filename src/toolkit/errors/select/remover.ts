/** Looking for a longer text, the search of V8 may take the product of both lengths: `aba` in `aaaa`, some thousand times as long. */
const longestForV8 = 100

/**
 * Removes a text from others wherever it is in them, as `replaceAll(part, '')` does, in time in proportion to them whatever they are:
 * both may come from a message.
 *
 * @source Knuth, Morris, Pratt
 */
export function remover(part: string): (text: string) => string {
  if (part === '') return (text) => text
  if (part.length <= longestForV8) return (text) => text.replaceAll(part, '')
  let borders: Int32Array | undefined
  return (text) => (text.length < part.length ? text : without(text, part, (borders ??= bordersOf(part))))
}

/** For each length the next shorter beginning of the text that it also ends with. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length + 1)
  borders[0] = -1
  for (let length = 1, border = -1; length <= part.length; length++) {
    while (border >= 0 && part.charCodeAt(border) !== part.charCodeAt(length - 1)) border = borders[border] as number
    borders[length] = ++border
  }
  return borders
}

function without(text: string, part: string, borders: Int32Array): string {
  const kept: string[] = []
  let from = 0
  for (let at = 0, found = 0; at < text.length; at++) {
    while (found >= 0 && part.charCodeAt(found) !== text.charCodeAt(at)) found = borders[found] as number
    if (++found < part.length) continue
    kept.push(text.slice(from, at + 1 - part.length))
    from = at + 1
    // What was removed is no beginning of the next one.
    found = 0
  }
  return from === 0 ? text : kept.join('') + text.slice(from)
}
