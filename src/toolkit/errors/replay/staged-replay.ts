import { identityOf } from '../../../message/failure.ts'
import type { HeldMessage, Transport } from '../../../transport/transport.ts'
import { isBrokerQueue } from '../../broker-queue.ts'
import { KeySet } from '../journal/key-set.ts'
import type { PreparedReplay } from './prepare-replay.ts'
import { type ReplayOptions, planned } from './plan.ts'
import { type ReplayReport, type ReplayRun, type Sent, sendBack } from './replay.ts'
import { type SendingBack, readHeld } from './sending-back.ts'
import { StagedHolding, phases, stagingQueue, unchangedCopy } from './staging.ts'

/**
 * Replays by way of a queue of the operation's own: what was selected is moved there as it is, everything else in the error queue is
 * free again, and then they are sent from there, however long it takes. What cannot be sent goes back into the error queue as it was.
 *
 * @param prepared not run yet
 * @param run with what slows it down; its journal is ended only when the staging queue is gone
 */
export async function replayStaged(
  transport: Transport,
  prepared: Pick<PreparedReplay, 'run'>,
  options: ReplayOptions,
  run: ReplayRun,
): Promise<ReplayReport> {
  let moved: ReplayReport
  try {
    run.journal?.phase(phases.moving)
    moved = await moveToStaging(transport, (moving) => prepared.run(moving), options, run)
  } catch (error) {
    const isGone = await transport.removeIfEmpty(stagingQueue(run.operation)).catch(() => false)
    if (isGone) run.journal?.end({ published: 0 })
    else run.journal?.close()
    throw error
  }
  return goOnAfterMoving(transport, moved, options, run)
}

/** @param move moves what was selected, with the run that it is given @returns nothing is sent yet; the journal goes on */
export async function moveToStaging<Moved extends ReplayReport>(
  transport: Transport,
  move: (run: ReplayRun) => Promise<Moved>,
  options: ReplayOptions,
  run: ReplayRun,
): Promise<Moved> {
  const { overrule, signal } = options
  const queue = stagingQueue(run.operation)
  await transport.createQueueLike(queue, options.queue)
  // Nothing is read of it: somebody who goes on with the operation must not remove the queue while messages are on their way to it.
  const lock = await transport.hold(queue, { purpose: 'change', overrule, page: 1, max: 1, signal, beforeRemove: () => undefined })
  let moved: Moved
  try {
    moved = await move({ ...run, staging: { queue, step: 'move' }, pacing: undefined, waitMs: undefined, everyItem: false })
  } finally {
    await lock.giveBack()
  }
  const left = (await transport.inspect(queue))?.depth ?? 0
  return { ...moved, published: 0, tried: moved.failed, staged: { queue, left } }
}

/** Sends what was moved, unless moving it was cut short. @param uncertain messages that are in both queues, perhaps, because of a crash */
export async function goOnAfterMoving(
  transport: Transport,
  moved: ReplayReport,
  options: ReplayOptions,
  run: ReplayRun,
  uncertain = 0,
): Promise<ReplayReport> {
  if (!moved.isOver || moved.stopped) {
    run.journal?.close()
    return { ...moved, isOver: false }
  }
  run.journal?.phase(phases.draining, uncertain)
  const drained = await drainStaging(transport, options, run)
  return {
    ...drained,
    selected: moved.selected,
    tried: moved.failed + drained.tried,
    failed: moved.failed + drained.failed,
    items: [...moved.items, ...drained.items],
    duplicates: moved.duplicates + drained.duplicates,
    newerArrivals: moved.newerArrivals,
  }
}

/**
 * Sends what is in the staging queue of an operation, and removes the queue when it is empty.
 *
 * @param isSafe a copy of it was sent already: the original only goes
 */
export async function drainStaging(
  transport: Transport,
  options: ReplayOptions,
  run: ReplayRun,
  isSafe: (message: HeldMessage) => boolean = () => false,
): Promise<ReplayReport> {
  const queue = stagingQueue(run.operation)
  const { overrule, signal } = options
  const { pacing, window } = run
  let sender: SendingBack | undefined
  let noteSafe: (group: readonly HeldMessage[]) => void | Promise<void> = () => undefined
  const turns = pacing && {
    get soon() {
      return pacing.soon
    },
    ready: () => pacing.ready(sender as SendingBack),
  }
  const settle = async (): Promise<void> => sender?.finish()
  const beforeRemove = (group: readonly HeldMessage[]): void | Promise<void> => noteSafe(group)
  const holding = await StagedHolding.open(transport, { queue, turns, window, overrule, signal, settle, beforeRemove })
  if (holding === undefined) return nothingLeft(transport, options, run)
  const noted = {
    holding,
    set noteSafe(note: typeof noteSafe) {
      noteSafe = note
    },
  }
  const seen = new KeySet()
  let [selected, duplicates] = [0, 0]
  const staging = { queue, step: 'drain' } as const
  const send = async (sending: SendingBack): Promise<Sent> => {
    sender = sending
    for await (const messages of holding.pages())
      for (const message of messages) {
        const failed = readHeld(message)
        const isDuplicate = failed.failedAt !== undefined && !seen.add(identityOf(failed))
        // One copy of a failure is selected. Where a crash can double it while it is moved, the second one is the same message.
        if (isSafe(message) || (isDuplicate && isBrokerQueue(holding.facts))) await holding.consume(message, [])
        else if (isDuplicate) {
          duplicates++
          await holding.consume(message, [unchangedCopy(message, options.queue, holding.facts.kind)])
        } else if (await sending.add(message, planned(message, failed, options), failed)) selected++
        else return { selected, duplicates, sawAll: false }
      }
    return { selected, duplicates, sawAll: true }
  }
  try {
    const report = await sendBack(transport, noted, holding.facts.depth, options, { ...run, staging }, send)
    const left = (await transport.inspect(queue))?.depth ?? 0
    const isOver = report.isOver && left === 0 && (await transport.removeIfEmpty(queue))
    if (isOver) run.journal?.end({ published: report.published, failed: report.failed })
    return { ...report, isOver, staged: { queue, left } }
  } finally {
    run.journal?.close()
  }
}

/** Somebody else has finished it. */
async function nothingLeft(transport: Transport, { queue }: ReplayOptions, { journal, operation }: ReplayRun): Promise<ReplayReport> {
  journal?.end({ published: 0, failed: 0 })
  const counts = { selected: 0, tried: 0, published: 0, failed: 0, items: [], duplicates: 0, newerArrivals: 0 }
  const leftInQueue = (await transport.inspect(queue))?.depth ?? 0
  return {
    operation,
    ...counts,
    leftInQueue,
    stopped: false,
    problem: undefined,
    sentUnnoted: 0,
    isOver: true,
    staged: { queue: stagingQueue(operation), left: 0 },
  }
}
