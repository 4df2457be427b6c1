import { relative } from 'node:path'
import { uniqueIdOf } from '../../message/failure.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { shortTypeName } from '../../message/type-names.ts'
import { formatTimeSpan } from '../../message/wire-formats.ts'
import { Header } from '../../message/headers.ts'
import type { RunningEndpoint } from '../../runtime/endpoint.ts'
import type { EndpointEvent, OutgoingSummary } from '../../runtime/engine.ts'
import { dotnetTypeOf } from '../../runtime/dotnet-stack.ts'
import { causeOf, isInstance } from '../../runtime/thrown.ts'
import { codeFrame, userFrame } from '../../toolkit/load-handlers/frames.ts'
import type { TransactionMode } from '../../transport/transport.ts'
import type { Colours } from '../colour.ts'
import { printable, printableLine } from '../printable.ts'

/** What a run prints at the start: what it runs, where, with which policy. */
export function bannerLines(
  endpoint: RunningEndpoint,
  where: string,
  readyMs: number,
  colour: Colours,
  { noRetries, keys }: { readonly noRetries: boolean; readonly keys: boolean },
): string[] {
  const byType = grouped(endpoint)
  const width = Math.max(0, ...[...byType.keys()].map((name) => name.length))
  const rows = [...byType].map(([name, handlers]) => {
    const names = handlers.map((handler) => handler.name).join(', ')
    const files = [...new Set(handlers.flatMap((handler) => handler.file ?? []))].join(', ')
    const event = handlers[0]?.handles.kind === 'event' ? '  (event, subscribed)' : ''
    return `  ${name.padEnd(width)}  → ${names}${event}  ${colour.dim(files)}`.trimEnd()
  })
  const { concurrency, recoverability } = endpoint.settings
  const { delayIncreaseMs, delayedRetries, errorQueue, immediateRetries } = recoverability
  const delays = Array.from({ length: delayedRetries }, (_, index) => `${((index + 1) * delayIncreaseMs) / 1000} s`).join(', ')
  const retries = noRetries
    ? 'no retries (--no-retries)'
    : `${immediateRetries} immediate retries, ${delayedRetries} delayed${delays === '' ? '' : ` (${delays})`}`
  return [
    `${colour.bold(printableLine(endpoint.name))} on ${printableLine(where)}   ready in ${Math.round(readyMs)} ms`,
    ...rows,
    colour.dim(`  ${retries} · error queue ${errorQueue} · concurrency ${concurrency}${keys ? ' · press h for help' : ''}`),
    '',
  ]
}

/** One delivery as lines for people. */
export function eventLines(event: EndpointEvent, endpointName: string, root: string, colour: Colours): string[] {
  const { durationMs, message, outcome } = event
  const type = printableLine(typeOf(event))
  const row = (mark: string, id: string, text: string): string =>
    `${new Date().toTimeString().slice(0, 8)} ${mark} ${type.padEnd(14)}  ${printableLine(id.slice(0, 8)).padEnd(8)}  ${String(Math.round(durationMs)).padStart(4)} ms   ${text}`.trimEnd()
  if (outcome.kind === 'handled') return [row(colour.done('✓'), message.id, outcome.outgoing.map(outgoingText).join(', '))]
  if (outcome.kind === 'cancelled') return [row(colour.warning('!'), message.id, 'put back: the endpoint is stopping')]
  const unique = uniqueIdOf({ ...message.headers, [Header.ProcessingEndpoint]: endpointName }, message.id)
  const { action, error } = outcome
  switch (action.kind) {
    case 'retryNow':
      return [row(colour.warning('↻'), message.id, `attempt ${message.attempt} failed, trying again: ${printableLine(errorText(error))}`)]
    case 'retryLater':
      return [
        row(colour.warning('↻'), message.id, `failed, next try in ${formatTimeSpan(action.delayMs)}: ${printableLine(errorText(error))}`),
      ]
    case 'discard':
      return [row(colour.warning('-'), message.id, `discarded: ${printableLine(action.reason)}`)]
    case 'moveToError':
      return [
        row(colour.failure('✗'), unique, `failed, moved to ${printableLine(action.queue)}`),
        ...failureLines(error, root, colour),
        `           replay after the fix: ${colour.command(`nsb errors replay ${printableLine(unique.slice(0, 4))}`)}`,
      ]
  }
}

/** What is said at the end of messages that were still in hand then. */
export function unfinishedText(count: number, queue: string, mode: TransactionMode | undefined): string {
  const messages = `${count} message${count === 1 ? '' : 's'}`
  const where = mode === 'none' ? "lost: 'none' takes a message before it is handled" : `put back into ${printableLine(queue)}`
  return `${messages} in hand did not finish in time, and ${count === 1 ? 'was' : 'were'} ${where}`
}

const indent = ' '.repeat(11)

function failureLines(error: unknown, root: string, colour: Colours): string[] {
  const inner = causeOf(error)
  const place = userFrame(error, root)
  const frame = place && codeFrame(place.file, place.line, place.column)
  return [
    `${indent}${colour.failure(nameOf(error))}: ${textOf(error)}`,
    ...(inner === undefined ? [] : [`${indent}caused by ${nameOf(inner)}: ${textOf(inner)}`]),
    ...suggestionsOf(inner ?? error).map((suggestion) => `${indent}Try: ${printable(suggestion)}`),
    ...(place ? [`${indent}  ${colour.command(printable(`${relative(root, place.file)}:${place.line}:${place.column}`))}`] : []),
    ...(frame === undefined ? [] : frame.split('\n').map((line) => `${indent}  ${printable(line)}`)),
  ]
}

/** An error of this library by its code, which `nsb help` explains; any other by its class. */
function nameOf(error: unknown): string {
  return printableLine(isInstance(error, NsbError) ? error.code : dotnetTypeOf(error).replace(/^Node\./, ''))
}

function textOf(error: unknown): string {
  return printable(errorText(error)).replaceAll('\n', `\n${indent}`)
}

function suggestionsOf(error: unknown): readonly string[] {
  return isInstance(error, NsbError) ? error.suggestions : []
}

/** One delivery as a JSON line. */
export function eventDocument(event: EndpointEvent, endpointName: string): Record<string, unknown> {
  const { durationMs, handlersRun, message, outcome, types } = event
  const common = {
    event: outcome.kind,
    at: new Date().toISOString(),
    messageId: message.id,
    queue: message.queue,
    types,
    attempt: message.attempt,
    handlers: handlersRun.map((handler) => handler.name),
    durationMs: Math.round(durationMs * 1000) / 1000,
  }
  if (outcome.kind === 'handled') return { ...common, outgoing: outcome.outgoing }
  if (outcome.kind === 'cancelled') return common
  const { action, error } = outcome
  return {
    ...common,
    action: action.kind,
    ...(action.kind === 'retryLater' && { delayMs: action.delayMs }),
    ...(action.kind === 'moveToError' && {
      errorQueue: action.queue,
      uniqueId: uniqueIdOf({ ...message.headers, [Header.ProcessingEndpoint]: endpointName }, message.id),
    }),
    exceptionType: dotnetTypeOf(error),
    exceptionMessage: errorText(error),
  }
}

/** Where a message that has just failed for good is found; undefined for all others. */
export function failureOf(
  { message, outcome }: EndpointEvent,
  endpointName: string,
): { readonly uniqueId: string; readonly errorQueue: string } | undefined {
  if (outcome.kind !== 'failed' || outcome.action.kind !== 'moveToError') return undefined
  const uniqueId = uniqueIdOf({ ...message.headers, [Header.ProcessingEndpoint]: endpointName }, message.id)
  return { uniqueId, errorQueue: outcome.action.queue }
}

function typeOf({ message, types }: EndpointEvent): string {
  const full = types[0] ?? message.headers[Header.EnclosedMessageTypes]?.split(/[,;]/, 1)[0]
  return full === undefined || full === '' ? '(no type)' : shortTypeName(full)
}

function outgoingText({ intent, to, type }: OutgoingSummary): string {
  const name = type === undefined ? 'return code' : printableLine(shortTypeName(type))
  if (intent === 'Reply') return `reply ${name}`
  if (intent === 'Publish') return `published ${name}`
  return `${type === undefined ? 'control message' : `sent ${name}`} to ${printableLine(to)}`
}

// Map.groupBy needs Node 21.
function grouped(endpoint: RunningEndpoint): Map<string, RunningEndpoint['handlers'][number][]> {
  const byType = new Map<string, RunningEndpoint['handlers'][number][]>()
  for (const handler of endpoint.handlers) byType.set(handler.handles.fullName, [...(byType.get(handler.handles.fullName) ?? []), handler])
  return byType
}
