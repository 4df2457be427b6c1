import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

const youngBytes = 8 * 1024 * 1024
const lookEveryMs = 2

/**
 * For a command through which far more flows than it keeps: V8 would let the young generation grow to 48 MiB and the old one to several
 * times what is alive. From 8 MiB on the young one stays as it is, and the old one is collected when it has grown by half. Costs at most
 * 10 % of the CPU time of a replay, and saves a third of its memory (`node --import tsx bench/rabbitmq-errors.ts`), as it does for a look
 * at a folder (`node bench/error-folder.mjs`).
 *
 * @returns ends the watching
 */
export function boundMemory(): () => void {
  setFlagsFromString('--heap-growing-percent=50')
  // V8 may come to make every further message in the old generation, because those of a page outlive a young collection when these are
  // frequent: groups of 100,000 messages then take 180 MiB instead of 135, in one run of four (bench/error-folder.mjs).
  setFlagsFromString('--no-allocation-site-pretenuring')
  // Its largest size is fixed when the process starts; whether it grows is asked each time.
  const timer = setInterval(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if ((young?.space_size ?? youngBytes) < youngBytes) return
    setFlagsFromString('--semi-space-growth-factor=1')
    clearInterval(timer)
  }, lookEveryMs).unref()
  return () => clearInterval(timer)
}
