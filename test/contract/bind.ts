import { describe, it } from 'vitest'
import { type ContractSubject, transportContract } from '../../src/testing/transport-contract/index.ts'
import { type Clock, systemClock } from '../../src/transport/clock.ts'

/** Binds the contract to vitest. Cases have worlds of their own and mostly wait, so some of them run at once. */
export function bindContract(subject: ContractSubject): void {
  const runs = transportContract(subject)
  for (const group of new Set(runs.map((run) => run.group)))
    describe(`${subject.name}: ${group}`, () => {
      for (const run of runs.filter((each) => each.group === group))
        if (run.skipped === undefined) it.concurrent(run.title, run.run)
        else it.skip(`${run.title} [skipped: ${run.skipped}]`)
    })
}

/** The real clock, which can be moved ahead. */
export function movableClock(): { readonly clock: Clock; readonly elapse: (ms: number) => void } {
  let ahead = 0
  return {
    clock: { now: () => systemClock.now() + ahead, after: (ms, then) => systemClock.after(ms, then) },
    elapse(ms) {
      ahead += ms
    },
  }
}
