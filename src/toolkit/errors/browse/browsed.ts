import type { FailedKind, FailedMessage } from '../../../message/failure.ts'
import type { HeldMessage, HoldOptions, QueueFacts } from '../../../transport/transport.ts'
import type { Criteria } from '../select/select.ts'
import type { SnapshotEntry, SnapshotFile } from './snapshot.ts'

export interface BrowseOptions {
  readonly queue: string
  readonly criteria: Criteria
  /** ms since 1970. */
  readonly now: number
  /** Codes of safety rules to overrule. */
  readonly overrule: readonly string[]
  readonly maxHold: number
  readonly signal: AbortSignal
  /** Kept of each look that costs something; undefined: none is kept. */
  readonly snapshot?: SnapshotFile | undefined
  /**
   * What the last look kept will do, where it is young enough and knows what is asked for: while the queue has as many messages as then,
   * and, where the broker counts looks, also when it has not. `ifSame`: only while it has as many. Default: the queue is read.
   */
  readonly cached?: boolean | 'ifSame'
  /** The queue is about to be read. */
  opened?(facts: QueueFacts): void
}

/** How many entries are of the kinds that are not listed unless they are asked for. */
export interface OtherKinds {
  readonly poison: number
  readonly masstransit: number
  readonly dlx: number
  readonly ack: number
}

/** What was there beside what was asked for. */
export interface Browsed extends OtherKinds {
  readonly facts: QueueFacts
  readonly newerArrivals: number
  /** Older entries that need not be read, so that it is not known what they are. */
  readonly unread: number
  /** When the queue was looked at, in ms since 1970. */
  readonly asOf: number
  /** It is what an earlier look has kept. */
  readonly cached: boolean
  /** How many messages more the queue has now than it had then; fewer: below 0. */
  readonly changedBy: number
}

export interface Look extends Partial<Pick<HoldOptions, 'newestFirst' | 'withoutBodies'>> {
  seen(this: void, failed: FailedMessage, message: SnapshotEntry, held: HeldMessage | undefined): void
  /** Asked after each page; default: never. */
  enough?(this: void): boolean
}

export const noOthers: OtherKinds = { poison: 0, masstransit: 0, dlx: 0, ack: 0 }
export const isOther = (kind: FailedKind): kind is keyof OtherKinds => kind in noOthers
