import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The text of the only journal of a state folder; empty while there is none. */
export function journalText(state: string): string {
  const folder = join(state, 'operations')
  const [name] = existsSync(folder) ? readdirSync(folder) : []
  return name === undefined ? '' : readFileSync(join(folder, name), 'utf8')
}

/** How many groups of messages became safe in a phase of a staged replay. */
export function safeIn(journal: string, phase: 'moving' | 'draining'): number {
  const [, after = ''] = journal.split(`{"phase":"${phase}"}`)
  return after.split('{"safe":').length - 1
}
