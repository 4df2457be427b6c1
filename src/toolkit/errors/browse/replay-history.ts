import { Header } from '../../../message/headers.ts'
import { parseTimestampLeniently } from '../../../message/wire-formats.ts'
import type { Headers } from '../../../transport/transport.ts'
import { ownReplays } from '../copy.ts'

/** What a message carries of its own replays. */
export interface ReplayHistory {
  /** How often nsb replayed it. */
  readonly count: number
  /** The last time, in ms since 1970. */
  readonly at: number | undefined
  readonly operation: string | undefined
  /** It came back from a retry that was not ours, which keeps no count. */
  readonly byServiceControl: boolean
  /** The unique id of the message it is an edited copy of. */
  readonly editOf: string | undefined
}

export function replayHistory(headers: Headers): ReplayHistory {
  const count = ownReplays(headers)
  // An edited copy is a message of its own; a retry takes what says that it is one.
  const editOf = headers['ServiceControl.EditOf']
  return {
    count,
    at: parseTimestampLeniently(headers[Header.ReplayAt]),
    operation: headers[Header.ReplayOperation],
    byServiceControl: count === 0 && editOf === undefined && Object.keys(headers).some((name) => name.startsWith('ServiceControl.Retry.')),
    editOf,
  }
}
