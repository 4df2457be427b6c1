import { Flags } from '@oclif/core'
import { NsbError } from '../../message/nsb-error.ts'
import { type BatchOutcome, type BatchSizes, parseBatches, wentWell } from '../../toolkit/errors/replay/pace.ts'
import type { PaceRecord } from '../../toolkit/errors/replay/replay-record.ts'
import { parseRate } from '../../toolkit/send/pace.ts'
import { durationFlag } from '../global-flags.ts'

/** Flags that slow a replay down on purpose. */
export const paceFlags = {
  rate: Flags.string({
    helpValue: '<n/s>',
    helpGroup: 'PACE',
    summary: 'at most that many a second (20/s), minute (600/m) or hour (5000/h)',
  }),
  batch: Flags.string({
    helpValue: '<n>',
    helpGroup: 'PACE',
    summary: 'stop after so many and ask whether to go on; growing: 1,10,100,rest',
  }),
  'batch-pause': durationFlag({
    helpGroup: 'PACE',
    summary: 'between two batches wait that long instead of asking; with --wait it ends after a batch of which something failed again',
    dependsOn: ['batch'],
  }),
  staged: Flags.boolean({
    helpGroup: 'PACE',
    summary: 'move them to a queue of their own first, and send them from there; what takes more than 10 minutes is always staged',
  }),
}

export interface PaceChoice {
  readonly rate?: string | undefined
  readonly batch?: string | undefined
  readonly 'batch-pause'?: number | undefined
}

/** What lies between two batches: a question, a pause unless something failed again, or nothing as long as all goes well. */
export type Between = { readonly kind: 'ask' } | { readonly kind: 'pause'; readonly ms: number } | { readonly kind: 'whileWell' }

/** How fast messages go. */
export interface ChosenPace {
  readonly perSecond: number | undefined
  readonly batches: BatchSizes | undefined
  /** undefined: there are no batches. */
  readonly between: Between | undefined
}

/**
 * Reads the flags, and finds out what lies between two batches.
 *
 * @throws {NsbError} NSB_BAD_FLAG; NSB_NEEDS_CONFIRMATION where batches were asked for and nobody can be asked between them
 */
export function chosenPace(flags: PaceChoice, { interactive, yes }: { readonly interactive: boolean; readonly yes: boolean }): ChosenPace {
  const perSecond = flags.rate === undefined ? undefined : parseRate(flags.rate)
  if (flags.batch === undefined) return { perSecond, batches: undefined, between: undefined }
  const batches = parseBatches(flags.batch)
  const ms = flags['batch-pause']
  if (ms !== undefined) return { perSecond, batches, between: { kind: 'pause', ms } }
  if (yes) return { perSecond, batches, between: { kind: 'whileWell' } }
  if (interactive) return { perSecond, batches, between: { kind: 'ask' } }
  throw new NsbError({
    code: 'NSB_NEEDS_CONFIRMATION',
    message: 'Nobody can be asked between two batches here, so nothing was done.',
    suggestions: ['Wait between them: --batch-pause 30s', 'Go on as long as all goes well: --yes'],
    details: { flag: '--batch-pause' },
  })
}

/** What the journal keeps of it, for who goes on. @param staged by way of a queue of its own */
export function paceRecord(flags: PaceChoice, patch: string | undefined, staged: boolean): PaceRecord {
  return { patch, rate: flags.rate, batch: flags.batch, batchPause: flags['batch-pause'], staged }
}

/** `batch 2: 10 sent, 9 succeeded, 1 failed again` */
export function batchLine({ answered, failed, number, sent }: BatchOutcome): string {
  const counts = [
    `${sent} sent`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(answered === undefined ? [] : [`${answered.succeeded} succeeded`]),
    ...((answered?.failedAgain ?? 0) > 0 ? [`${answered?.failedAgain} failed again`] : []),
    ...((answered?.noAnswer ?? 0) > 0 ? [`${answered?.noAnswer} no answer yet`] : []),
  ]
  return `batch ${number}: ${counts.join(', ')}`
}

/** What a person answered to `Continue? [Y/n/all]`; undefined: nothing that was asked for. */
export function answerOf(text: string): 'yes' | 'no' | 'all' | undefined {
  const word = text.trim().toLowerCase()
  if (word === '' || word === 'y' || word === 'yes') return 'yes'
  if (word === 'n' || word === 'no') return 'no'
  return word === 'a' || word === 'all' ? 'all' : undefined
}

/** What the person or the clock says between two batches. */
export interface Asking {
  /** One question, asked where {@link Between} is `ask`; it rejects when the command is ended meanwhile. */
  readonly ask: (question: string) => Promise<string>
  readonly note: (text: string) => void
  readonly pause: (ms: number) => Promise<void>
}

/** Decides between two batches whether to go on. Remembers `all`. */
export function betweenBatches(between: Between, { ask, note, pause }: Asking): (outcome: BatchOutcome) => Promise<boolean> {
  let isAll = false
  return async (outcome) => {
    const line = batchLine(outcome)
    if (isAll || between.kind !== 'ask') note(line)
    if (isAll) return true
    if (between.kind === 'whileWell') return wentWell(outcome)
    if (between.kind === 'pause') {
      // What could not be sent is where it was, and --on-error says what to do then. What fails again will do so in the next batch too.
      if ((outcome.answered?.failedAgain ?? 0) > 0) return false
      await pause(between.ms)
      return true
    }
    for (;;) {
      const answer = answerOf(await ask(`${line}. Continue? [Y/n/all]`))
      if (answer === undefined) continue
      isAll = answer === 'all'
      return answer !== 'no'
    }
  }
}

/** `45 s`, `12 min`, `3 h 20 min`; a little more than it takes. */
export function roughDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60]
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`
}
