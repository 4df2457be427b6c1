import { hostname } from 'node:os'
import { deterministicHostId } from '../message/ids.ts'

/** Who says it in the headers. */
export interface Host {
  /** 32 hex digits */
  readonly id: string
  readonly displayName: string
  readonly machine: string
}

/** Stable for one program on one machine: MD5 over the entry script and the host name, as .NET does with its executable. */
export function thisHost(overrides: Partial<Host> = {}): Host {
  const machine = overrides.machine ?? hostname()
  return {
    id: overrides.id ?? deterministicHostId((process.argv[1] ?? process.execPath) + machine),
    displayName: overrides.displayName ?? machine,
    machine,
  }
}
