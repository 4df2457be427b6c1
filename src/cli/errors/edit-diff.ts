import type { Headers } from '../../transport/transport.ts'
import { lineDiff } from '../../toolkit/scaffold/line-diff.ts'
import type { Colours } from '../colour.ts'
import { printable, printableLine } from '../printable.ts'

/** The comparison takes the product of both in memory. */
const mostLines = 2000
const context = 2

/** What changed of headers and body, for people; undefined bodies were not changed. */
export function diffLines(
  before: { readonly headers: Headers; readonly body: string | undefined },
  after: { readonly headers: Headers; readonly body: string | undefined },
  changed: readonly string[],
  colours: Colours,
): readonly string[] {
  const headers = changed.flatMap((name) => [
    ...(before.headers[name] === undefined ? [] : [`- ${name}: ${before.headers[name]}`]),
    ...(after.headers[name] === undefined ? [] : [`+ ${name}: ${after.headers[name]}`]),
  ])
  const body = before.body === undefined || after.body === undefined ? [] : bodyDiff(before.body, after.body)
  return [...headers.map(printableLine), ...(headers.length > 0 && body.length > 0 ? [''] : []), ...body.map(printable)].map((line) =>
    line.startsWith('-') ? colours.failure(line) : line.startsWith('+') ? colours.done(line) : line,
  )
}

function bodyDiff(before: string, after: string): readonly string[] {
  if (before === after) return ['  (of the body only blanks)']
  const counts = [before, after].map((text) => text.split('\n').length)
  if (counts.some((count) => count > mostLines)) return [`- body of ${counts[0]} lines`, `+ body of ${counts[1]} lines`]
  return withContext(lineDiff(before, after))
}

/** The lines that changed and those around them. */
function withContext(lines: readonly string[]): readonly string[] {
  const isShown = (at: number): boolean => lines.slice(Math.max(0, at - context), at + context + 1).some((line) => !line.startsWith('  '))
  return lines.flatMap((line, at) => (isShown(at) ? [line] : at === 0 || isShown(at - 1) ? ['  …'] : []))
}
