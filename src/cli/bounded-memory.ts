import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** On a broker messages are on their way for a while, and more of them should be gone before a collection: a replay takes a tenth less CPU time. */
export const replaysYoungMiB = 16
const looksYoungMiB = 8
const lookEveryMs = 2

/**
 * For a command through which far more flows than it keeps: V8 would let the young generation grow to 48 MiB and the old one to several
 * times what is alive. From the given size on the young one stays as it is, and the old one is collected when it has grown by half. Costs
 * at most 10 % of the CPU time of a replay, and saves a third of its memory (`node --import tsx bench/rabbitmq-errors.ts`), as it does for
 * a look at a folder (`node bench/error-folder.mjs`).
 *
 * @param youngMiB a power of two, both halves of the young generation counted
 * @returns ends the watching
 */
export function boundMemory(youngMiB = looksYoungMiB): () => void {
  const youngBytes = youngMiB * 1024 * 1024
  setFlagsFromString('--heap-growing-percent=50')
  // V8 may come to make every further message in the old generation, because those of a page outlive a young collection when these are
  // frequent: groups of 100,000 messages then take 180 MiB instead of 135, in one run of four (bench/error-folder.mjs).
  setFlagsFromString('--no-allocation-site-pretenuring')
  // So small a one is collected in a few milliseconds, and a helping thread would take its share from the broker beside it or wait for it:
  // a replay takes a tenth less time without.
  setFlagsFromString('--no-parallel-scavenge')
  // Its largest size is fixed when the process starts; whether it grows is asked each time.
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if ((young?.space_size ?? youngBytes) < youngBytes) return
    setFlagsFromString('--semi-space-growth-factor=1')
    clearInterval(timer)
  }, lookEveryMs).unref()
  return () => clearInterval(timer)
}
