import type { TransactionMode, Transport } from '../../transport/transport.ts'

/** A storage or broker of its own for one case, with as many transports on it as the case opens. */
export interface ContractWorld {
  /** Another transport on the same storage, as a second process would open it. The world closes it in the end. */
  open(): Promise<Transport>
  /** A name that only this world uses, for queues and event types. */
  unique(name: string): string
  /** Lets this much time pass for whatever measures it; undefined when {@link ContractSubject.unable} says why. */
  readonly elapse: ((ms: number) => void) | undefined
  end(): Promise<void>
}

/** A transport under test. */
export interface ContractSubject {
  readonly name: string
  readonly transactionModes: readonly TransactionMode[]
  /** What its world cannot do, with the reason: cases that need it are skipped. */
  readonly unable: Readonly<Partial<Record<Ability, string>>>
  start(): Promise<ContractWorld>
}

/**
 * `elapse`: time can be moved. `hideHeld`: held messages are invisible to others. `uncountedLooks`: what was looked at does not
 * count as delivered. `ownNativeIds`: every copy gets a native id of its own.
 */
export type Ability = 'elapse' | 'hideHeld' | 'uncountedLooks' | 'ownNativeIds'

/** What a case is given. */
export interface CaseWorld extends ContractWorld {
  readonly mode: TransactionMode
}

/** One promise of the seam. */
export interface ContractCase {
  /** A claim, after the group's name: "…redelivers it". */
  readonly name: string
  /** Runs once in each of them; without, once in the transport's default mode. */
  readonly modes?: readonly TransactionMode[]
  readonly needs?: Ability
  run(world: CaseWorld): Promise<void>
}

export interface ContractGroup {
  readonly name: string
  readonly cases: readonly ContractCase[]
}

/** One case in one mode, ready for any test runner. */
export interface ContractRun {
  readonly group: string
  readonly title: string
  /** Why it does not apply; undefined: run it. */
  readonly skipped: string | undefined
  readonly run: () => Promise<void>
}

/** Lists what to run: each case in each of its modes. */
export function runsOf(groups: readonly ContractGroup[], subject: ContractSubject): readonly ContractRun[] {
  return groups.flatMap((group) =>
    group.cases.flatMap((contractCase) => {
      const standard = subject.transactionModes[0] as TransactionMode
      return (contractCase.modes ?? [standard]).map((mode) => ({
        group: group.name,
        title: contractCase.modes ? `${contractCase.name} (${mode})` : contractCase.name,
        skipped: reasonToSkip(contractCase, mode, subject),
        run: () => runCase(contractCase, mode, subject),
      }))
    }),
  )
}

function reasonToSkip(contractCase: ContractCase, mode: TransactionMode, subject: ContractSubject): string | undefined {
  if (!subject.transactionModes.includes(mode)) return `${subject.name} does not offer transaction mode '${mode}'`
  return contractCase.needs && subject.unable[contractCase.needs]
}

async function runCase(contractCase: ContractCase, mode: TransactionMode, subject: ContractSubject): Promise<void> {
  const world = await subject.start()
  try {
    await contractCase.run({ ...world, mode })
  } finally {
    await world.end()
  }
}
