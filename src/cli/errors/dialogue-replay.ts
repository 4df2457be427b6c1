import { waitUntilFree } from '../../toolkit/errors/hold.ts'
import { newOperationId } from '../../toolkit/errors/operation-id.ts'
import type { ReplayOptions } from '../../toolkit/errors/replay/plan.ts'
import { prepareReplay } from '../../toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../toolkit/errors/replay/replay-record.ts'
import type { ReplayReport } from '../../toolkit/errors/replay/replay.ts'
import { boundMemory, replaysYoungMiB } from '../bounded-memory.ts'
import { Progress } from '../progress.ts'
import type { DialogueParts } from './interactive.ts'
import { outcomesOf } from './replay-report.ts'
import { countsLine, failureLines, warningsOf } from './replay-text.ts'

/** How a replay goes: as one without flags. */
const manner = { window: 50, onError: 'continue', keepAcknowledgeTo: false, sameNativeId: false } as const
const waitMs = 60_000
/** So many outcomes are remembered. */
const mostWaitedFor = 10_000
const mostNamed = 5

/**
 * Asks, and then replays the oldest messages that match, as errors replay does, and waits for their outcomes. Nothing is held while it asks.
 *
 * @param options whose limit is how many are asked for; no more are replayed, whatever has come meanwhile
 * @returns how many are dealt with
 * @throws {NsbError} those of a confirmation and of a replay
 */
export async function replayInDialogue(parts: DialogueParts, options: ReplayOptions, typed: string | undefined): Promise<number> {
  const { limit = 0 } = options
  const question = limit === 1 ? 'Replay the oldest of them to where it failed?' : `Replay ${limit} messages to where each of them failed?`
  await waitUntilFree(parts.transport, parts.queue, options)
  await parts.confirm(question, { typed, signal: parts.signal })
  const waits = limit <= mostWaitedFor
  if (!waits) parts.note(`outcomes are not waited for: they are more than ${mostWaitedFor}`)
  const report = await run(parts, options, waits ? waitMs : undefined)
  showReport(parts, report, waits)
  parts.signal.throwIfAborted()
  // Somebody else has taken them.
  return report.selected === 0 ? limit : report.published
}

/** As errors replay does it, once it is confirmed: nothing is held before, nor afterwards. */
async function run(
  { beforeChange, journalPlace, transport }: DialogueParts,
  options: ReplayOptions,
  wait: number | undefined,
): Promise<ReplayReport> {
  const unbound = boundMemory(replaysYoungMiB)
  const progress = new Progress({ write: (text) => process.stderr.write(text), terminal: true, now: Date.now })
  const prepared = await prepareReplay(transport, options, { confirmed: true, window: manner.window })
  try {
    await beforeChange()
    const operation = newOperationId(Date.now())
    return await prepared.run({
      operation,
      journal: beginReplayJournal(await journalPlace(), operation, options, { ...manner, waitMs: wait }, prepared.plan),
      ...manner,
      waitMs: wait,
      everyItem: wait !== undefined,
      clock: Date.now,
      progress: (step) => progress.show(step),
    })
  } finally {
    progress.end()
    await prepared.release()
    unbound()
  }
}

function showReport({ colours, note, out, placed, signal, warning }: DialogueParts, report: ReplayReport, waited: boolean): void {
  for (const line of failureLines(report, mostNamed)) note(`${colours.err.failure('✗')} ${line}`)
  for (const text of warningsOf(report, signal.aborted)) warning(text)
  if (!report.isOver) warning(`it is not finished: ${placed(`nsb errors resume ${report.operation}`)}`)
  out(countsLine(report, outcomesOf(report, waited)))
}
