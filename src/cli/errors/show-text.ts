import { displayTypeOf, isTextBody } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import { exceptionText } from '../../toolkit/errors/exception-text.ts'
import type { Remembered, Shown } from '../../toolkit/errors/browse.ts'
import { isoTime } from '../../toolkit/errors/documents.ts'
import type { Colours } from '../colour.ts'
import { indentJson } from '../indent-json.ts'
import { printable, printableLine } from '../printable.ts'

const labelWidth = 14
const longestBody = 16_384

/** What a person wants to know of one failed message; everything that comes from it is made printable. */
export function showText(
  { failed, message }: Shown,
  choice: { readonly stack: boolean; readonly headers: boolean },
  colours: Colours,
): string {
  return [
    ...failureLines({ failed, message }, choice.stack, colours),
    ...bodyLines(message.headers, message.body, lineWith(colours)),
    ...(choice.headers ? ['', ...headerLines(message.headers, colours)] : []),
  ].join('\n')
}

/** The same without what no snapshot keeps. */
export function rememberedText(remembered: Remembered, colours: Colours): string {
  return [...failureLines(remembered, false, colours), ...lineWith(colours)('body', 'not kept; --refresh reads the queue')].join('\n')
}

type Line = (label: string, text: string | undefined) => string[]

function lineWith(colours: Colours): Line {
  return (label, text) => (text === undefined || text === '' ? [] : [`${colours.dim(label.padEnd(labelWidth))}${printableLine(text)}`])
}

function failureLines({ failed, message }: Pick<Remembered, 'failed' | 'message'>, wholeStack: boolean, colours: Colours): string[] {
  const line = lineWith(colours)
  const type = failed.type === undefined ? '(no type)' : displayTypeOf(failed.type)
  const failedAt =
    isoTime(failed.failedAt)
      ?.replace('T', ' ')
      .replace(/\.\d+Z$/, 'Z') ?? '?'
  const place = failed.endpoint === undefined ? '' : ` in ${failed.endpoint} (host ${failed.host})`
  const kind = failed.kind === 'failure' ? [] : line('kind', failed.kind)
  return [
    `${colours.bold(printableLine(type))}  ${printableLine(failed.uniqueId)}`,
    ...kind,
    ...(message.unreadable === undefined ? [] : line('unreadable', message.unreadable)),
    ...line('failed', `${failedAt}${place}${failed.queue === undefined ? '' : `, queue ${failed.queue}`}`),
    ...line('handler', failed.handler),
    ...line('exception', exceptionText(failed.exceptionType, failed.exceptionMessage)).map((text) => colours.failure(text)),
    ...stackLines(message.headers[Header.ExceptionStackTrace], wholeStack).map((text) => `${' '.repeat(labelWidth)}${text}`),
    ...line('message id', failed.messageId),
    ...line('sent', sentText(failed.sender, isoTime(failed.sentAt))),
    ...line('caused by', failed.relatedTo),
    ...line('conversation', failed.conversationId),
    ...(failed.replayed === 0 ? [] : line('replayed', `${failed.replayed}×`)),
  ]
}

function sentText(sender: string | undefined, sentAt: string | undefined): string | undefined {
  return [sentAt, sender === undefined ? undefined : `from ${sender}`].filter((part) => part !== undefined).join(' ')
}

export function headerLines(headers: Readonly<Record<string, string>>, colours: Colours): string[] {
  return Object.entries(headers).map(
    ([name, value]) => `${colours.dim(`${printableLine(name)}:`)} ${printable(value).replaceAll('\n', '\n  ')}`,
  )
}

const frame = /^\s*at\s/
const framework = /^\s*at (?:async )?(?:NServiceBus\.|nsbus\.|System\.|Microsoft\.|node:|.*\(node:|.* in node:)/

/** The frames of the stack; those of frameworks are counted unless all are wanted. */
export function stackLines(stack: string | undefined, all: boolean): string[] {
  if (stack === undefined || stack.trim() === '') return []
  const lines = printable(stack).split('\n')
  if (all) return lines
  const frames = lines.filter((line) => frame.test(line))
  const own = frames.filter((line) => !framework.test(line))
  const hidden = frames.length - own.length
  return [
    ...own.map((line) => line.trim()),
    ...(hidden > 0 ? [`… ${hidden} framework frame${hidden > 1 ? 's' : ''} (--stack for all)`] : []),
  ]
}

function bodyLines(headers: Readonly<Record<string, string>>, body: Uint8Array, line: Line): string[] {
  const contentType = headers[Header.ContentType] ?? 'no content type'
  const heading = line('body', `${contentType}, ${body.length} B`)
  if (body.length === 0) return heading
  if (!isTextBody(headers)) return [...heading, '  (binary; --raw writes it to stdout)']
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
  const pretty = printable(contentType.includes('json') ? indentJson(text) : text)
  const shown =
    pretty.length > longestBody
      ? `${pretty.slice(0, longestBody)}\n… ${pretty.length - longestBody} more characters (--body for all)`
      : pretty
  return [...heading, ...shown.split('\n').map((each) => `  ${each}`)]
}
