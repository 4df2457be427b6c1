/**
 * What every transport promises, as data: bind it to a test runner and to a transport.
 *
 * @example
 * for (const run of transportContract(subject)) (run.skipped ? it.skip : it)(`${run.group}: ${run.title}`, run.run)
 */
import { type ContractGroup, type ContractRun, type ContractSubject, runsOf } from './contract.ts'
import { delay } from './delay.ts'
import { dispatching } from './dispatching.ts'
import { failing } from './failing.ts'
import { holding } from './holding.ts'
import { pubsub } from './pubsub.ts'
import { queues } from './queues.ts'
import { receiving } from './receiving.ts'
import { stopping } from './stopping.ts'
import { temporary } from './temporary.ts'

export type { Ability, CaseWorld, ContractCase, ContractGroup, ContractRun, ContractSubject, ContractWorld } from './contract.ts'

/** All promises, by what they are about. */
export const contractGroups: readonly ContractGroup[] = [
  receiving,
  failing,
  dispatching,
  delay,
  pubsub,
  holding,
  queues,
  temporary,
  stopping,
]

/** All cases for one transport, those that do not apply with the reason. */
export function transportContract(subject: ContractSubject): readonly ContractRun[] {
  return runsOf(contractGroups, subject)
}
