import { type FailedMessage, displayTypeOf } from '../../message/failure.ts'
import { stackTraceOf } from '../../message/foreign-failure.ts'
import { operatorHeaders } from '../../message/native-headers.ts'
import type { Shown } from '../../toolkit/errors/browse/browse.ts'
import type { Remembered } from '../../toolkit/errors/browse/kept-look.ts'
import { isoTime } from '../../toolkit/errors/documents.ts'
import { exceptionText } from '../../toolkit/errors/replay/exception-text.ts'
import { type ReplayHistory, replayHistory } from '../../toolkit/errors/browse/replay-history.ts'
import type { Headers } from '../../transport/transport.ts'
import type { Colours } from '../colour.ts'
import { printable, printableLine } from '../printable.ts'
import { type BodyText, bodyAtAGlance, bodyText } from './body-text.ts'
import { costText } from './kept-text.ts'
import { foldedStack } from './stack-text.ts'

const labelWidth = 12
const indent = ' '.repeat(labelWidth + 2)
/** Where the id begins, after a type of usual length. */
const idColumn = 50
/** Of the text of an exception. */
const longestText = 2000

/** What a person wants to know of one failed message; everything that comes from it is made printable. */
export function showText(
  { failed, message }: Shown,
  choice: { readonly stack: boolean; readonly headers: boolean },
  colours: Colours,
): string {
  return [
    ...failureLines({ failed, message }, choice.stack, colours),
    ...bodyLines(bodyText(message.headers, message.body, bodyAtAGlance), colours),
    ...(choice.headers ? ['', ...headerLines(operatorHeaders(message), colours)] : []),
  ].join('\n')
}

/** The same, of what an earlier look has kept: without what that was too large for. */
export function rememberedText(remembered: Remembered, colours: Colours): string {
  const { facts, message } = remembered
  const body = message.keptBody?.()
  return [
    ...failureLines(remembered, false, colours),
    ...(body === undefined
      ? lineWith(colours)('body', `not kept; --refresh reads the queue, ${costText(facts)}`)
      : bodyLines(bodyText(message.headers, body, bodyAtAGlance), colours)),
  ].join('\n')
}

type Line = (label: string, text: string | undefined) => string[]

function lineWith(colours: Colours): Line {
  return (label, text) => (text === undefined || text === '' ? [] : [`${colours.dim(label.padEnd(labelWidth))}${printableLine(text)}`])
}

function failureLines({ failed, message }: Pick<Remembered, 'failed' | 'message'>, wholeStack: boolean, colours: Colours): string[] {
  const line = lineWith(colours)
  const type = printableLine(failed.type === undefined ? '(no type)' : displayTypeOf(failed.type))
  const place = failed.endpoint === undefined ? '' : ` in ${failed.endpoint} (host ${failed.host})`
  return [
    `${colours.bold(type)}${' '.repeat(Math.max(2, idColumn - type.length))}${printableLine(failed.uniqueId)}`,
    ...(failed.kind === 'failure' ? [] : line('kind', failed.kind)),
    ...(message.unreadable === undefined ? [] : line('unreadable', message.unreadable)),
    ...line('failed', `${timeText(failed.failedAt)}${place}${failed.queue === undefined ? '' : `, queue ${failed.queue}`}`),
    ...line('handler', failed.handler),
    ...exceptionLines(failed, stackTraceOf(message.headers), wholeStack, colours),
    ...line('sent', failed.sentAt === undefined ? undefined : timeText(failed.sentAt)),
    ...causeLine(failed, line),
    ...line('message id', failed.messageId),
    ...historyLines(replayHistory(message.headers), line),
  ]
}

function timeText(ms: number | undefined): string {
  return (
    isoTime(ms)
      ?.replace('T', ' ')
      .replace(/\.\d+Z$/, 'Z') ?? '?'
  )
}

/** The message whose handler sent it, if there is one, who that was, and the conversation of both. */
function causeLine({ conversationId, relatedTo, sender }: FailedMessage, line: Line): string[] {
  const conversation = conversationId === undefined ? '' : `conversation ${conversationId}`
  const cause = relatedTo === undefined ? (sender ?? '') : `message ${relatedTo}${sender === undefined ? '' : ` from ${sender}`}`
  return line(
    relatedTo !== undefined ? 'caused by' : sender !== undefined ? 'sent by' : 'part of',
    [cause, conversation].filter((part) => part !== '').join('       '),
  )
}

function historyLines({ count, at, operation, byServiceControl, editOf }: ReplayHistory, line: Line): string[] {
  const last = [at === undefined ? '' : `, the last time ${timeText(at)}`, operation === undefined ? '' : `, operation ${operation}`]
  return [
    ...(count === 0 ? [] : line('replayed', `${count}×${last.join('')}`)),
    ...(byServiceControl ? line('retried', 'by ServiceControl') : []),
    ...line('edit of', editOf),
  ]
}

function exceptionLines(failed: FailedMessage, stack: string | undefined, wholeStack: boolean, colours: Colours): string[] {
  const text = exceptionText(failed.exceptionType, failed.exceptionMessage)
  const shown = text !== undefined && text.length > longestText && !wholeStack ? `${text.slice(0, longestText)}… (--stack for all)` : text
  const [first = '', ...further] = printable(shown ?? '')
    .trimEnd()
    .split('\n')
  const label = colours.dim('exception'.padEnd(labelWidth))
  const lines =
    text === undefined ? [] : [`${label}${colours.failure(first)}`, ...further.map((each) => `${' '.repeat(labelWidth)}${each}`)]
  if (stack === undefined || stack.trim() === '') return lines
  if (wholeStack)
    return [
      ...lines,
      ...printable(stack)
        .split('\n')
        .map((each) => `${indent}${each}`),
    ]
  const { causes, frameworkFrames, omitted, own } = foldedStack(stack)
  const framesOf = (frames: readonly string[]): string[] => frames.map((frame) => `${indent}${frame}`)
  return [
    ...lines,
    ...framesOf(own),
    ...causes.flatMap(({ frames, title }) => [`${colours.dim('because'.padEnd(labelWidth))}${title}`, ...framesOf(frames)]),
    ...(omitted > 0 ? [`${indent}… ${omitted} more (--stack for all)`] : []),
    ...(frameworkFrames > 0 ? [`${indent}… ${frameworkFrames} framework frame${frameworkFrames > 1 ? 's' : ''} (--stack for all)`] : []),
  ]
}

function headerLines(headers: Headers, colours: Colours): string[] {
  return Object.entries(headers).map(
    ([name, value]) => `${colours.dim(`${printableLine(name)}:`)} ${printable(value).replaceAll('\n', '\n  ')}`,
  )
}

function bodyLines({ lines, summary }: BodyText, colours: Colours): string[] {
  return [...lineWith(colours)('body', summary), ...lines.map((each) => `${indent}${each}`)]
}
