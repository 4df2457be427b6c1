import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NsbError } from '../../../message/nsb-error.ts'
import { type ReadLine, readLines } from '../../read-lines.ts'
import { operationIds, readJournal } from '../journal/read-journal.ts'
import { timeOfOperation } from '../operation-id.ts'
import type { JournalPlace } from '../replay/replay-record.ts'
import { elsewhere, whichOperation } from '../resume.ts'
import { archiveFolder, archiveOf, dayOfArchive } from './archive-folder.ts'

const dayMs = 86_400_000
const wholeId = /^[0-9A-HJKMNP-TV-Z]{26}$/

/** The operation that an id means, or how it begins, if its journal is here. @throws {NsbError} NSB_OPERATION_NOT_FOUND, NSB_WHICH_OPERATION */
export async function archivingOperation(stateFolder: string, given: string): Promise<string> {
  const id = given.toUpperCase()
  const known = (await operationIds(stateFolder)).filter((operation) => operation.startsWith(id))
  if (known.length > 1) throw await whichOfThem(stateFolder, given, known)
  if (known[0] !== undefined) return known[0]
  if (wholeId.test(id)) return id
  throw new NsbError({
    code: 'NSB_OPERATION_NOT_FOUND',
    message: `No operation here begins with '${given}'.`,
    suggestions: ['Give all 26 characters: its journal may be gone, or on another machine'],
    details: { id: given },
  })
}

async function whichOfThem(stateFolder: string, given: string, known: readonly string[]): Promise<NsbError> {
  const journals = await Promise.all(known.map((operation) => readJournal(stateFolder, operation)))
  return whichOperation(
    given,
    journals.flatMap((journal) => journal?.head ?? []),
  )
}

/**
 * The files with messages of an operation: the one that its journal names, or those of the queue's archive.
 *
 * @param operation as {@link archivingOperation} gives it
 * @throws {NsbError} NSB_OPERATION_ELSEWHERE, NSB_NOTHING_MATCHED
 */
export async function filesOfOperation(place: JournalPlace, queue: string, operation: string): Promise<readonly [string, ...string[]]> {
  const head = (await readJournal(place.stateFolder, operation))?.head
  if (head !== undefined && (head.archive === undefined ? head.where !== place.where : head.archive !== place.archive))
    throw elsewhere(head, place.where, queue)
  const { file } = head?.options ?? {}
  const candidates = typeof file === 'string' ? [file] : await archivesSince(place, queue, timeOfOperation(operation) - dayMs)
  const found: string[] = []
  for (const path of candidates) if (await hasMessageOf(path, operation)) found.push(path)
  const [first, ...further] = found
  if (first !== undefined) return [first, ...further]
  throw new NsbError({
    code: 'NSB_NOTHING_MATCHED',
    message: `No message of operation ${operation} is in the archive of '${queue}'.`,
    suggestions: ['Name the file, where it was archived with --to-file: nsb errors import <file>', 'Name its queue: --error-queue <name>'],
    details: { operation, queue },
  })
}

/** Those from before connections were told apart included. */
async function archivesSince(place: JournalPlace, queue: string, since: number): Promise<readonly string[]> {
  const folders = [...new Set([archiveOf(place), place.profile])].map((archive) => archiveFolder(place.stateFolder, archive, queue))
  const found = await Promise.all(
    folders.map(async (folder) => {
      const names = await readdir(folder).catch(() => [])
      return names.filter((name) => Date.parse(dayOfArchive(name) ?? '') > since - dayMs).map((name) => join(folder, name))
    }),
  )
  return found.flat().toSorted()
}

async function hasMessageOf(path: string, operation: string): Promise<boolean> {
  try {
    for await (const _line of linesOf(operation, readLines(createReadStream(path)))) return true
  } catch {
    // What cannot be read has nothing of it.
  }
  return false
}

/** The lines that an operation has written, with their numbers. */
export async function* linesOf(operation: string, lines: AsyncIterable<ReadLine>): AsyncIterable<ReadLine> {
  for await (const line of lines) if (line.text.includes(operation) && operationIn(line.text) === operation) yield line
}

function operationIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly operation?: unknown } | null)?.operation
  } catch {
    return undefined
  }
}
