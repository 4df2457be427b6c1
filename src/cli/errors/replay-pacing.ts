import { setTimeout as wait } from 'node:timers/promises'
import { NsbError } from '../../message/nsb-error.ts'
import { Pacing } from '../../toolkit/errors/replay/pace.ts'
import { Pace } from '../../toolkit/send/pace.ts'
import type { Question } from '../ask.ts'
import { type ChosenPace, betweenBatches } from './pace-flags.ts'

/** What a command gives for it. */
export interface PacingSurroundings {
  readonly ask: (question: Question, flag: string) => Promise<string | boolean>
  readonly note: (text: string) => void
  /** Nothing may be drawn over what is said between two batches. */
  readonly endProgress: () => void
  readonly signal: AbortSignal
}

/** What slows a replay down; undefined: nothing was asked for. */
export function pacingOf(
  { batches, between, perSecond }: ChosenPace,
  { ask, endProgress, note, signal }: PacingSurroundings,
): Pacing | undefined {
  if (perSecond === undefined && batches === undefined) return undefined
  const decide =
    between &&
    betweenBatches(between, {
      ask: (question) => askOrEnd(question, ask, signal),
      note,
      pause: (ms) => wait(ms, undefined, { signal }).catch(() => undefined),
    })
  return new Pacing({
    pace: perSecond === undefined ? undefined : new Pace(perSecond),
    batches,
    between: async (outcome) => {
      endProgress()
      return decide === undefined || decide(outcome)
    },
    signal,
  })
}

/** Whoever ends the command instead of answering has ended it. */
async function askOrEnd(message: string, ask: PacingSurroundings['ask'], signal: AbortSignal): Promise<string> {
  const ended = new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve('no'), { once: true }))
  const answered = ask({ message, kind: 'input' }, '--batch-pause').catch((error: unknown) => {
    if (!(error instanceof NsbError) || error.code !== 'NSB_INTERRUPTED') throw error
    // The prompt has taken Ctrl-C for itself.
    process.emit('SIGINT')
    return 'no'
  })
  return String(await Promise.race([answered, ended]))
}
