import { parseWithPositions, pathStep } from '../json-positions.ts'
import type { Value } from './levels.ts'

/**
 * A JSON text with one value changed or added; everything else stays as it was written.
 *
 * @param text valid JSON, an object
 * @param path keys from the outermost object inwards
 */
export function setInJson(text: string, path: readonly string[], value: Value): string {
  const parsed = parseWithPositions(text)
  if ('problem' in parsed) throw new SyntaxError(parsed.problem)
  const pointer = path.map(pathStep).join('')
  const there = parsed.offsets.get(pointer)
  if (there !== undefined) return text.slice(0, there) + JSON.stringify(value) + text.slice(endOf(text, there))

  let depth = path.length - 1
  while (!parsed.offsets.has(path.slice(0, depth).map(pathStep).join(''))) depth--
  const open = parsed.offsets.get(path.slice(0, depth).map(pathStep).join('')) as number
  const close = endOf(text, open) - 1
  const unit = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  '
  const inside = text.slice(open + 1, close)
  const last = inside.trimEnd().length
  const isEmpty = last === 0
  const key = JSON.stringify(path[depth])
  const nested = path.slice(depth + 1).reduceRight<unknown>((inner, step) => ({ [step]: inner }), value)
  // An object on one line stays on one line, unless it is the whole file.
  if (!inside.includes('\n') && depth > 0) {
    const member = `${key}: ${oneLine(nested)}`
    return `${text.slice(0, open + 1)}${isEmpty ? ` ${member}` : `${inside.trimEnd()}, ${member}`} ${text.slice(close)}`
  }
  const before = text.slice(text.lastIndexOf('\n', open) + 1)
  const outer = /^[ \t]*/.exec(before)?.[0] ?? ''
  const indent = /\n([ \t]*)\S/.exec(inside)?.[1] ?? outer + unit
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n'
  const member = `${indent}${key}: ${JSON.stringify(nested, null, unit).replaceAll('\n', `${lineEnd}${indent}`)}`
  const kept = isEmpty ? '' : `${inside.slice(0, last)},`
  return `${text.slice(0, open + 1)}${kept}${lineEnd}${member}${lineEnd}${outer}${text.slice(close)}`
}

function oneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value)
  return `{ ${Object.entries(value)
    .map(([key, each]) => `${JSON.stringify(key)}: ${oneLine(each)}`)
    .join(', ')} }`
}

/** The offset behind the value that begins at an offset. */
function endOf(text: string, start: number): number {
  const piece = /"(?:[^"\\]|\\.)*"|[{}[\]]|[^\s"{}[\],:]+/g
  piece.lastIndex = start
  for (let depth = 0; ; ) {
    const [found = ''] = piece.exec(text) ?? []
    if (found === '') return text.length
    if (found === '{' || found === '[') depth++
    if (found === '}' || found === ']') depth--
    if (depth === 0) return piece.lastIndex
  }
}
