import { Header } from '../../../message/headers.ts'
import { nearest } from '../../../message/nearest.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import type { Headers } from '../../../transport/transport.ts'

/** @source ServiceControl LockedHeaderModificationValidator, EditFailedMessagesController */
const locked: readonly string[] = [
  Header.MessageId,
  Header.SagaId,
  Header.CorrelationId,
  Header.ControlMessage,
  Header.OriginatingSagaId,
  Header.RelatedTo,
  Header.ConversationId,
  Header.MessageIntent,
  Header.Version,
  'NServiceBus.IsSagaTimeoutMessage',
  'NServiceBus.IsDeferredMessage',
  Header.Retries,
  Header.RetriesTimestamp,
  Header.FLRetries,
  Header.ProcessingStarted,
  Header.ProcessingEnded,
  Header.TimeOfFailure,
  Header.FailedQ,
  Header.ExceptionType,
  Header.ExceptionHelpLink,
  Header.ExceptionMessage,
  Header.ExceptionSource,
  Header.ExceptionStackTrace,
]

/** Where a message goes and what it answers: a change of them is possible, and rarely meant. @source ServiceControl EditFailedMessagesController */
const sensitive: readonly string[] = [
  'NServiceBus.Header.RouteTo',
  'NServiceBus.DestinationSites',
  'NServiceBus.OriginatingSite',
  'NServiceBus.To',
  Header.ReplyToAddress,
  Header.ReturnCode,
  Header.SagaType,
  Header.OriginatingSagaType,
  Header.TimeSent,
  'Header',
]

const lowered = (names: readonly string[]): ReadonlySet<string> => new Set(names.map((name) => name.toLowerCase()))
const [lockedNames, sensitiveNames] = [lowered(locked), lowered(sensitive)]

/** Must it stay as it is? Names of another case mean the same here, or a second header would pass for the first one. */
export const isLocked = (name: string): boolean => lockedNames.has(name.toLowerCase())

export interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>
  readonly unset: readonly string[]
}

export interface ChangedHeaders {
  readonly headers: Headers
  /** Names whose value is another one now, those that are gone included. */
  readonly changed: readonly string[]
  /** Of them, those that lead a message elsewhere. */
  readonly sensitive: readonly string[]
  /** Locked ones that were absent: they may be added. */
  readonly addedLocked: readonly string[]
}

/**
 * The headers of a message after a change. What is set to the value it has is no change.
 *
 * @throws {NsbError} NSB_LOCKED_HEADER, NSB_BAD_HEADER
 */
export function changeHeaders(headers: Headers, { set, unset }: HeaderChanges): ChangedHeaders {
  const names = Object.keys(headers)
  const both = unset.find((name) => Object.hasOwn(set, name))
  if (both !== undefined) throw badHeader(`Header '${both}' is set and removed at once.`)
  const absent = unset.find((name) => !Object.hasOwn(headers, name))
  if (absent !== undefined) {
    const [meant] = nearest(absent, names)
    throw badHeader(
      `The message has no header '${absent}'.`,
      meant === undefined ? 'nsb errors show <id> --headers' : `Did you mean '${meant}'?`,
    )
  }
  const changed = [...Object.keys(set).filter((name) => !Object.hasOwn(headers, name) || headers[name] !== set[name]), ...unset]
  const present = lowered(names)
  for (const name of changed) {
    checkName(name)
    if (isLocked(name) && present.has(name.toLowerCase())) throw lockedHeader(name)
  }
  const removed = new Set(unset)
  return {
    headers: Object.fromEntries(Object.entries({ ...headers, ...set }).filter(([name]) => !removed.has(name))),
    changed,
    sensitive: changed.filter((name) => sensitiveNames.has(name.toLowerCase())),
    addedLocked: changed.filter(isLocked),
  }
}

function checkName(name: string): void {
  if (name.trim() === '' || name === '__proto__' || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(name))
    throw badHeader(`'${name}' is no name for a header.`)
}

function badHeader(message: string, suggestion = '--set-header Tenant=acme, --unset-header Tenant'): NsbError {
  return new NsbError({ code: 'NSB_BAD_HEADER', message, suggestions: [suggestion] })
}

function lockedHeader(name: string): NsbError {
  return new NsbError({
    code: 'NSB_LOCKED_HEADER',
    message: `Header '${name}' must stay as it is: it says which message this is, or how it failed. Nothing was sent.`,
    suggestions: ['Leave it as it is', 'Send a message of your own instead: nsb send <type> --to <queue>'],
    details: { header: name },
  })
}
