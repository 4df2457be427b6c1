import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type ResumeReport, findOperation, resumeOperation } from '../../src/toolkit/errors/resume.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { compiled } from './compiled.ts'

const script = fileURLToPath(new URL('../toolkit/errors/scripts/replay-until-killed.ts', import.meta.url))

/** Where a replay is killed: see the script. */
export type Step = 'planned' | 'selected' | 'publishing' | 'confirmed' | 'safe' | 'removed'

export interface KilledReplay {
  /** Broker or storage folder. */
  readonly place: string
  readonly queue: string
  readonly stateFolder: string
  readonly window: number
  readonly step: Step
  /** Which message or group. */
  readonly at: number
}

/** Runs a replay of everything in a process of its own. @returns the signal that ended it */
export function replayUntilKilled({ at, place, queue, stateFolder, step, window }: KilledReplay): Promise<string | null> {
  const words = [place, queue, stateFolder, String(window), step, String(at)]
  const child = spawn(process.execPath, [compiled(script), ...words], { stdio: ['ignore', 'inherit', 'inherit'] })
  return new Promise((resolve) => {
    child.once('exit', (_, signal) => resolve(signal))
  })
}

/** Goes on with the only operation there is. */
export async function resumeKilled(
  transport: Transport,
  { queue, stateFolder }: Pick<KilledReplay, 'queue' | 'stateFolder'>,
  undo = false,
): Promise<ResumeReport> {
  const journal = await findOperation(stateFolder, { id: undefined, where: 'here', queue, overrule: [] })
  return resumeOperation(transport, journal, {
    undo,
    overrule: [],
    maxHold: 100_000,
    signal: new AbortController().signal,
    clock: Date.now,
    progress: () => undefined,
  })
}

/** How often each of the texts is there. */
export function timesOf(texts: readonly string[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>()
  for (const text of texts) times.set(text, (times.get(text) ?? 0) + 1)
  return times
}
