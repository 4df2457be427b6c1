import { readFailure } from '../../../message/failure.ts'
import type { Operations } from '../../../transport/transport.ts'
import { checkHold, holdErrors } from '../hold.ts'
import { type BrowseOptions, type Browsed, type Look, isOther, noOthers } from './browsed.ts'
import { browseKept } from './kept-look.ts'
import type { SnapshotFile } from './snapshot.ts'

/** Messages of a page whose bodies are in memory at once. */
const page = 100
/** Where each page costs some round trips. */
const brokerPage = 1000

/**
 * Shows the entries of the queue once, in its order, until there are no more or it is enough, and gives all of them back.
 *
 * @throws {NsbError} NSB_QUEUE_NOT_FOUND, NSB_HOLD_TOO_SMALL, and what a holding that looks refuses
 */
export async function browse(operations: Operations, options: BrowseOptions, look: Look): Promise<Browsed> {
  return (await browseKept(operations, options, look.seen)) ?? browseQueue(operations, options, look)
}

async function browseQueue(operations: Operations, options: BrowseOptions, { enough, seen, ...look }: Look): Promise<Browsed> {
  const { maxHold, overrule, queue, signal } = options
  const lookCosts = !operations.can.lookWithoutTrace
  const begun = performance.now()
  const holding = await holdErrors(operations, queue, {
    purpose: 'look',
    overrule,
    page: lookCosts ? brokerPage : page,
    // Where looking costs nothing, nothing is held.
    max: lookCosts ? maxHold : Number.POSITIVE_INFINITY,
    signal,
    beforeRemove: () => undefined,
    ...look,
  })
  // It may have been waited for.
  const asOf = Math.round(options.now + performance.now() - begun)
  let [read, newerArrivals, unread] = [0, 0, 0]
  const others = { ...noOthers }
  let snapshot: ReturnType<SnapshotFile['write']> | undefined
  let isWhole = false
  try {
    checkHold(holding.facts, options)
    options.opened?.(holding.facts)
    if (lookCosts) snapshot = options.snapshot?.write(holding.facts, asOf)
    for await (const messages of holding.pages()) {
      for (const message of messages) {
        const failed = readFailure(message.headers, message.nativeId, message.unreadable !== undefined, message)
        if (isOther(failed.kind)) others[failed.kind]++
        seen(failed, message, message)
        snapshot?.add(message, failed)
      }
      read += messages.length
      if (enough?.() !== true) continue
      unread = holding.facts.depth - read
      break
    }
    // With fewer it does not stand for the queue: only a part was held, or somebody has taken the others meanwhile.
    isWhole = read === holding.facts.depth && !signal.aborted
  } finally {
    const [given] = await Promise.all([holding.giveBack(), isWhole ? snapshot?.keep() : undefined])
    snapshot?.drop()
    newerArrivals = given.newerArrivals
  }
  signal.throwIfAborted()
  return { facts: holding.facts, ...others, newerArrivals, unread, asOf, cached: false, changedBy: 0 }
}
