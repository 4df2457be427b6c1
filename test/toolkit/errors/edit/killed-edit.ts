import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { resumeEdit } from '../../../../src/toolkit/errors/edit/resume-edit.ts'
import { readJournal } from '../../../../src/toolkit/errors/journal/read-journal.ts'
import type { Transport } from '../../../../src/transport/transport.ts'
import { archivesIn } from '../../../support/archives.ts'
import { compiled } from '../../../support/compiled.ts'

const script = fileURLToPath(new URL('scripts/edit-until-killed.ts', import.meta.url))
const operation = '01M7YKY9S5RVCSN2137YSYXDB2'

export interface KilledEdit {
  readonly kind: 'learning' | 'rabbitmq'
  /** Storage folder or address of the broker. */
  readonly at: string
  readonly queue: string
  readonly state: string
  readonly target: string
  readonly staysFailed: boolean
}

/** Edits message `m1` in a process of its own. @returns the signal that ended it */
export function editUntil(step: string, { at, kind, queue, state, staysFailed, target }: KilledEdit): Promise<string | null> {
  const words = [compiled(script), kind, at, queue, state, target, staysFailed ? 'failed' : '', step]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] })
  return new Promise((resolve) => {
    child.once('exit', (_, signal) => resolve(signal))
  })
}

/** @returns how the edit ended; undefined: there is no journal, so nothing was begun */
export async function resumed(transport: Transport, state: string): Promise<string | undefined> {
  const journal = await readJournal(state, operation)
  if (journal === undefined) return undefined
  const options = {
    undo: false,
    overrule: [],
    maxHold: 100_000,
    signal: new AbortController().signal,
    clock: Date.now,
    progress: () => undefined,
  }
  const report = await resumeEdit(transport, journal, options)
  assert.notEqual((await readJournal(state, operation))?.end, undefined)
  const { edit } = report.more as { edit: { result: string } }
  return edit.result
}

/** Ids of the messages in the archive. */
export function archivedIds(state: string, queue = 'error'): readonly string[] {
  const folders = archivesIn(state)
    .map((archive) => join(archive, queue))
    .filter((folder) => existsSync(folder))
  const lines = folders.flatMap((folder) =>
    readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n')),
  )
  return lines.map((line) => (JSON.parse(line) as { messageId: string }).messageId)
}
