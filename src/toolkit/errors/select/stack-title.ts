import { Header } from '../../../message/headers.ts'
import type { Headers } from '../../../transport/transport.ts'

/** A frame of a .NET or Mono stack trace, as far as group titles need it. */
export interface Frame {
  readonly type: string
  readonly method: string
  /** With its parentheses, verbatim. */
  readonly parameters: string
}

const longestLine = 2000

/**
 * Title of the exception group of a failure: outermost exception type and innermost frame. undefined without exception details.
 *
 * @source ServiceControl ExceptionTypeAndStackTraceFailureClassifier
 */
export function exceptionTitle(headers: Headers): string | undefined {
  const type = headers[Header.ExceptionType] ?? ''
  const message = headers[Header.ExceptionMessage] ?? ''
  const stack = headers[Header.ExceptionStackTrace]
  if (stack === undefined && message === '' && type === '' && headers[Header.ExceptionSource] === undefined) return undefined
  const frame = innermostFrame(headers)
  return frame === undefined ? `${type}: No stacktrace` : `${type}: ${frame.type}.${frame.method}${frame.parameters}`
}

/** The frame that decides about the group of a failure. */
export function innermostFrame(headers: Headers): Frame | undefined {
  const message = headers[Header.ExceptionMessage] ?? ''
  const stack = headers[Header.ExceptionStackTrace] ?? ''
  // The header holds the whole exception text; the message may look like a frame, and removing it may mangle one. Ids depend on it.
  if (stack.trim() === '') return undefined
  // It is removed from one line after the other where it is within one, since the first few lines decide.
  return message.includes('\n') ? firstFrame(stack.replaceAll(message, '')) : firstFrame(stack, message)
}

/**
 * The first line that is a frame; lines past 2,000 characters are none.
 *
 * @param without removed from each line before
 */
export function firstFrame(text: string, without = ''): Frame | undefined {
  const read = text.length > mostRemembered ? parseFrame : frameOf
  for (let start = 0; start <= text.length; ) {
    const end = text.indexOf('\n', start)
    const stop = end < 0 ? text.length : end
    const whole = text.slice(start, stop)
    const line = without === '' ? whole : whole.replaceAll(without, '')
    const frame = line.length > longestLine ? undefined : read(line)
    if (frame !== undefined) return frame
    start = stop + 1
  }
  return undefined
}

/** Most failures of a queue have one of few stacks, and reading a line takes longer than anything else that is done with it. */
const known = new Map<string, Frame | null>()
const mostKnown = 100
/** In characters. A line keeps the text alive that it was cut from. */
const mostRemembered = 64 * 1024

function frameOf(line: string): Frame | undefined {
  const remembered = known.get(line)
  if (remembered !== undefined) return remembered ?? undefined
  const frame = parseFrame(line)
  if (known.size >= mostKnown) known.clear()
  known.set(line, frame ?? null)
  return frame
}

// .NET's \w is not ASCII-only.
const word = String.raw`[\p{L}\p{Mn}\p{Nd}\p{Pc}\u200c\u200d]+`
const lead = new RegExp(`^[ \\t]*${word}[ \\t]+(?=[^ \\t])`, 'u')
const dotnetPlace = String.raw`${word}[ \t]+(?:[a-z]:|/)[^]+?:${word}[ \t]+[0-9]+\p{P}?`
const monoPlace = String.raw`\[0x[0-9a-f]+\][ \t]+${word}[ \t]+<[^>]+>:[0-9]+`
const afterParameters = new RegExp(`(?:[ \\t]+(?:${dotnetPlace}|${monoPlace}))?\\s*$`, 'iuy')

/**
 * Reads one line: `at TYPE.METHOD(type name, …) in /file:line 1`, the words in any language.
 *
 * Gives what ServiceControl's regular expression gives, without its backtracking: each position is looked at a fixed number of
 * times, where the expression tries every way of cutting the parameters at commas.
 *
 * @source ServiceControl StackTraceParser
 */
export function parseFrame(line: string): Frame | undefined {
  const start = lead.exec(line)?.[0].length
  if (start === undefined || !line.includes('(', start)) return undefined
  const rest = line.slice(start)
  const blank = rest.search(/[ \t]/)
  const nameEnd = blank < 0 ? rest.length : blank
  const closing = closingParentheses(rest)

  const lists: { readonly methodEnd: number; readonly open: number; readonly close: number }[] = []
  for (let methodEnd = rest.indexOf('('); methodEnd >= 0 && methodEnd < nameEnd; methodEnd = rest.indexOf('(', methodEnd + 1)) {
    const close = closing(methodEnd)
    if (close >= 0) lists.push({ methodEnd, open: methodEnd, close })
  }
  const detached = skipBlanks(rest, nameEnd)
  if (detached > nameEnd && rest[detached] === '(' && closing(detached) >= 0)
    lists.push({ methodEnd: nameEnd, open: detached, close: closing(detached) })

  // The type is the longest possible, then the method the shortest.
  const last = lists.at(-1)
  const dot = last === undefined ? -1 : rest.lastIndexOf('.', last.methodEnd - 2)
  const list = lists.find((each) => each.methodEnd >= dot + 2)
  if (dot < 1 || list === undefined) return undefined
  return { type: rest.slice(0, dot), method: rest.slice(dot + 1, list.methodEnd), parameters: rest.slice(list.open, list.close + 1) }
}

const isBlank = (character: string | undefined): boolean => character === ' ' || character === '\t'

function skipBlanks(text: string, from: number): number {
  let at = from
  while (isBlank(text[at])) at++
  return at
}

/** For an opening parenthesis the closing one of its parameter list, or -1 when what follows is no end of a frame. */
function closingParentheses(text: string): (open: number) => number {
  const endsFrame = (close: number): boolean => {
    afterParameters.lastIndex = close + 1
    return afterParameters.test(text)
  }
  // nextBlank[i]: the first blank at or after i. closeFrom[i]: where the list closes when a parameter's name may end before i.
  const nextBlank = new Int32Array(text.length + 2).fill(-1)
  const closeFrom = new Int32Array(text.length + 2).fill(-1)
  const afterParameter = (from: number): number => {
    const first = nextBlank[Math.min(from + 1, text.length + 1)] as number
    if (first < 0) return -1
    const name = skipBlanks(text, first)
    const close = closeFrom[Math.min(name + 1, text.length + 1)] as number
    // Blanks may also be the name itself.
    return close >= 0 || name === first + 1 ? close : (closeFrom[first + 2] as number)
  }
  for (let at = text.length - 1; at >= 0; at--) {
    nextBlank[at] = isBlank(text[at]) ? at : (nextBlank[at + 1] as number)
    const further = text[at] === ',' ? afterParameter(skipBlanks(text, at + 1)) : -1
    closeFrom[at] = further >= 0 ? further : text[at] === ')' && endsFrame(at) ? at : (closeFrom[at + 1] as number)
  }
  return (open) => {
    const inside = skipBlanks(text, open + 1)
    return text[inside] === ')' && endsFrame(inside) ? inside : afterParameter(open + 1)
  }
}
