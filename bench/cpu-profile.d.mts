import type { SpawnSyncOptions } from 'node:child_process'

export interface Frame {
  readonly functionName: string
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

export function cpuProfile(
  words: readonly string[],
  options: SpawnSyncOptions,
  kindOf: (frame: Frame) => string,
): [kind: string, ms: number][]
