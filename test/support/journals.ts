import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Where the journals of a state folder are; one that has just been begun has no head yet, and another name. */
export function journalPaths(state: string): readonly string[] {
  const folder = join(state, 'operations')
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names.filter((name) => name.endsWith('.ndjson')).map((name) => join(folder, name))
}

/** The text of the only journal of a state folder; empty while there is none. */
export function journalText(state: string): string {
  const [path] = journalPaths(state)
  return path === undefined ? '' : readFileSync(path, 'utf8')
}

/** How many groups of messages became safe in a phase of a staged replay. */
export function safeIn(journal: string, phase: 'moving' | 'draining'): number {
  const [, after = ''] = journal.split(`{"phase":"${phase}"}`)
  return after.split('{"safe":').length - 1
}
