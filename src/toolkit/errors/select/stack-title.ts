import { Header } from '../../../message/headers.ts'
import type { Headers } from '../../../transport/transport.ts'
import { remover } from './remover.ts'

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
  return message.includes('\n') ? firstFrame(remover(message)(stack)) : firstFrame(stack, message)
}

/**
 * The first line that is a frame; lines past 2,000 characters are none.
 *
 * @param without removed from each line before
 */
export function firstFrame(text: string, without = ''): Frame | undefined {
  const read = text.length > mostRemembered ? parseFrame : frameOf
  const remove = remover(without)
  for (let start = 0; start <= text.length; ) {
    const end = text.indexOf('\n', start)
    const stop = end < 0 ? text.length : end
    const line = remove(text.slice(start, stop))
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
// What follows the parameters, cut where it would be looked for again and again: `in /file:` and `line 1`, `[0x00001] in <a>` and `:0`.
const beforeDotnetPath = new RegExp(String.raw`[ \t]+${word}[ \t]+(?:[a-z]:|/)`, 'iuy')
const dotnetLine = new RegExp(String.raw`:${word}[ \t]+[0-9]+\p{P}?\s*$`, 'uy')
const beforeMonoFile = new RegExp(String.raw`[ \t]+\[0x[0-9a-f]+\][ \t]+${word}[ \t]+<`, 'iuy')
const monoLine = />:[0-9]+\s*$/y

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
  let detached = nameEnd
  while (isBlank(rest[detached])) detached++
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

/** For an opening parenthesis the closing one of its parameter list, or -1 when what follows is no end of a frame. */
function closingParentheses(text: string): (open: number) => number {
  const endsFrame = frameEnds(text)
  // nextBlank[i], nextOther[i]: the first blank, or other character, at or after i. closeFrom[i]: where the list closes when a parameter's
  // name may end before i.
  const nextBlank = new Int32Array(text.length + 2).fill(-1)
  const nextOther = new Int32Array(text.length + 2).fill(text.length)
  const closeFrom = new Int32Array(text.length + 2).fill(-1)
  const otherFrom = (from: number): number => nextOther[Math.min(from, text.length)] as number
  const afterParameter = (from: number): number => {
    const first = nextBlank[Math.min(from + 1, text.length + 1)] as number
    if (first < 0) return -1
    const name = otherFrom(first)
    const close = closeFrom[Math.min(name + 1, text.length + 1)] as number
    // Blanks may also be the name itself.
    return close >= 0 || name === first + 1 ? close : (closeFrom[first + 2] as number)
  }
  for (let at = text.length - 1; at >= 0; at--) {
    nextBlank[at] = isBlank(text[at]) ? at : (nextBlank[at + 1] as number)
    nextOther[at] = isBlank(text[at]) ? (nextOther[at + 1] as number) : at
    const further = text[at] === ',' ? afterParameter(otherFrom(at + 1)) : -1
    closeFrom[at] = further >= 0 ? further : text[at] === ')' && endsFrame(at) ? at : (closeFrom[at + 1] as number)
  }
  return (open) => {
    const inside = otherFrom(open + 1)
    return text[inside] === ')' && endsFrame(inside) ? inside : afterParameter(open + 1)
  }
}

/** May the parameters end with this parenthesis? The end of the line is read once, and between two parentheses nothing twice. */
function frameEnds(text: string): (close: number) => boolean {
  const blankFrom = text.trimEnd().length
  const colon = [text.lastIndexOf(':'), lastBefore(text, ':', text.lastIndexOf(':'))].find((at) => endAt(dotnetLine, text, at) >= 0) ?? -1
  const bracket = text.lastIndexOf('>')
  const bracketBefore = lastBefore(text, '>', bracket)
  const isMono = endAt(monoLine, text, bracket) >= 0
  return (close) => {
    if (close + 1 >= blankFrom) return true
    const path = colon < 0 ? -1 : endAt(beforeDotnetPath, text, close + 1)
    if (path >= 0 && colon > path) return true
    const file = isMono ? endAt(beforeMonoFile, text, close + 1) : -1
    return file >= 0 && bracket > file && bracketBefore < file
  }
}

function lastBefore(text: string, sign: string, at: number): number {
  return at <= 0 ? -1 : text.lastIndexOf(sign, at - 1)
}

/** -1: there is no match. */
function endAt(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return at >= 0 && pattern.test(text) ? pattern.lastIndex : -1
}
