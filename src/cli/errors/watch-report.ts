import { displayTypeOf, isTextBody, narrowTypeOf } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import { errorText } from '../../message/nsb-error.ts'
import type { CommandEnded } from '../../toolkit/errors/watch/command-per-message.ts'
import { failedFields, isoTime } from '../../toolkit/errors/documents.ts'
import { exceptionText } from '../../toolkit/errors/replay/exception-text.ts'
import type { WatchEvent } from '../../toolkit/errors/watch/watch.ts'
import { printableLine } from '../printable.ts'
import { shortId } from './errors-command.ts'

type Failed = Extract<WatchEvent, { kind: 'failed' }>

/** What a line of `nsb errors watch` says on a terminal or in a pipe. */
export interface LineStyle {
  /** Short ids, times and types. */
  readonly short: boolean
  /** Width to cut it to; undefined: never cut. */
  readonly width: number | undefined
  /** Which queue it is in has to be said. */
  readonly severalQueues: boolean
}

/** `00:21:15  c1186253  PlaceOrder  Sales  System.Exception: no stock`, safe for a terminal and on one line. */
export function failedLine({ errorQueue, failed }: Failed, { severalQueues, short, width }: LineStyle): string {
  const at = isoTime(failed.failedAt) ?? '?'
  const type = failed.type === undefined ? '–' : short ? narrowTypeOf(failed.type) : displayTypeOf(failed.type)
  const text = [
    short && at !== '?' ? at.slice(11, 19) : at,
    short ? shortId(failed.uniqueId) : failed.uniqueId,
    ...(severalQueues ? [errorQueue] : []),
    type,
    failed.endpoint ?? '–',
    exceptionText(failed.exceptionType, failed.exceptionMessage)?.split('\n', 1)[0]?.trimEnd() ??
      (failed.kind === 'failure' ? '–' : failed.kind),
  ]
  const line = text.map((part) => printableLine(part)).join('  ')
  return width !== undefined && line.length > width ? `${line.slice(0, width - 1)}…` : line
}

/** A line of `--json`. */
export function eventFields(event: WatchEvent): object {
  const { errorQueue, kind } = event
  switch (kind) {
    case 'watching': {
      const { by, facts } = event
      return { event: kind, errorQueue, by, ...(facts === undefined ? {} : { depth: facts.depth, queueType: facts.kind }) }
    }
    case 'failed':
      return { event: kind, errorQueue, ...failedFields(event.failed) }
    case 'depth':
      return { event: kind, errorQueue, before: event.before, depth: event.depth }
    case 'notLooked':
    case 'interrupted':
      return { event: kind, errorQueue, reason: errorText(event.reason) }
    case 'resumed': {
      const { before, depth } = event
      return { event: kind, errorQueue, ...(before === undefined ? {} : { before }), ...(depth === undefined ? {} : { depth }) }
    }
  }
}

/** The whole message for a command: the fields of `errors show --json`, with headers and body. */
export function messageDocument({ errorQueue, failed, message }: Failed): object {
  const text = isTextBody(message.headers)
  const contentType = message.headers[Header.ContentType]
  const body = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  return {
    schema: 'nsb.errors.watch.message/1',
    errorQueue,
    ...failedFields(failed),
    headers: message.headers,
    body: {
      encoding: text ? 'utf8' : 'base64',
      ...(contentType === undefined ? {} : { contentType }),
      data: body.toString(text ? 'utf8' : 'base64'),
    },
  }
}

/** What is said beside the results. */
export function eventNote(event: Exclude<WatchEvent, Failed>, where: { readonly profile: string; readonly transport: string }): string {
  const queue = `'${printableLine(event.errorQueue)}'`
  switch (event.kind) {
    case 'watching': {
      const { by, facts } = event
      const depth = facts === undefined ? 'no such queue yet' : messages(facts.depth)
      const how = {
        tap: 'new failures are shown as they come, and the queue is not touched',
        depth: 'only its depth can be seen here, and messages with --deep',
        looks: 'read whenever it has grown; the queue may count that as a delivery of each message',
      }[by]
      const kinds = [where.transport, ...(facts === undefined || facts.kind === 'folder' ? [] : [facts.kind])]
      return `watching ${queue} on ${where.profile} (${[...kinds, depth].join(', ')}): ${how}`
    }
    case 'depth':
      return `${queue}: ${event.depth - event.before} more, ${messages(event.depth)}`
    case 'notLooked':
      return `${queue} has grown and was not read: ${errorText(event.reason)}`
    case 'interrupted':
      return `watching ${queue} was interrupted (${errorText(event.reason)}); what fails until it goes on is not shown`
    case 'resumed': {
      const { before, depth } = event
      const compared =
        before === undefined || depth === undefined ? 'how many they were is not known' : `it had ${messages(before)}, and has ${depth} now`
      return `watching ${queue} again; failures in between were not shown: ${compared}`
    }
  }
}

/** How the command of `--exec` ended, when that has to be said. */
export function commandNote({ exitCode, problem, uniqueId }: CommandEnded): string {
  return `${printableLine(shortId(uniqueId))}  the command ${problem ?? `ended with ${exitCode}`}`
}

const messages = (count: number): string => `${count} message${count === 1 ? '' : 's'}`
