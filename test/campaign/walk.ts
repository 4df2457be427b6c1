import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { savedLine } from '../../src/message/saved-message.ts'
import { type Ended, failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../cli/nsb.ts'
import { countedCalls, killingBefore } from '../support/killed-before.ts'
import type { Kill } from '../support/kill-before.ts'

/** Messages in the error queue, or lines in the file that is imported. */
const messages = 6

/** A command whose process is killed in the middle of its work on folders, and what it may leave behind. */
export interface WalkedCommand {
  readonly words: readonly string[]
  /** So many messages lie in the error queue before. */
  readonly waiting: number
  /** Its journal tells how to go on. */
  readonly isResumable: boolean
  /** Taking it back is something else than going on. */
  readonly canBeUndone: boolean
  /** How often each message has to be somewhere afterwards, if it was not killed; and when it was it may be there twice. */
  readonly most: number
}

const saved = 'saved.ndjson'
const kept = 'archived.ndjson'
const change = { waiting: messages, isResumable: true, canBeUndone: false, most: 1 }

export const walkedCommands = {
  'replay --staged': { ...change, words: ['errors', 'replay', '--all', '--staged', '--window', '4'], canBeUndone: true },
  replay: { ...change, words: ['errors', 'replay', '--all', '--window', '4'], canBeUndone: true },
  archive: { ...change, words: ['errors', 'archive', '--all', '--to-file', kept] },
  'export --remove': { ...change, words: ['errors', 'export', '--all', '--remove', '--file', kept] },
  edit: { ...change, words: ['errors', 'edit', 'm0', '--merge', '{"edited":true}'] },
  import: { ...change, words: ['errors', 'import', saved], waiting: 0 },
  'import --replay': { ...change, words: ['errors', 'import', saved, '--replay'], waiting: 0, most: 2 },
  'queues purge': { ...change, words: ['queues', 'purge', 'error'], isResumable: false },
  send: { ...change, words: ['send', 'Shop.PlaceOrder', '{"n":"sent"}', '--to', 'Sales', '--no-validate'], isResumable: false },
} as const satisfies Record<string, WalkedCommand>

export type WalkedName = keyof typeof walkedCommands

/** One command in a project of its own. */
export class Walk {
  readonly name: WalkedName
  readonly #command: WalkedCommand
  readonly #folder: string
  readonly #storage: string
  readonly #state: string

  constructor(name: WalkedName) {
    this.name = name
    this.#command = walkedCommands[name]
    const { folder, storage } = projectWith()
    this.#folder = folder
    this.#storage = storage
    this.#state = join(folder, 'state')
    for (const queue of ['Sales', 'error']) mkdirSync(join(storage, queue))
    mkdirSync(this.#state)
    const ids = Array.from({ length: messages }, (_, index) => `m${index}`)
    // Some have ids that are no GUIDs, as others write them.
    const fileOf = (index: number): string => (index % 2 === 0 ? `by-hand-${index}` : `01890a5d-ac96-774b-bcce-b302099a805${index}`)
    for (const [index, id] of ids.slice(0, this.#command.waiting).entries())
      putMessage(storage, 'error', fileOf(index), failureHeaders(id), bodyOf(id))
    const facts = { queue: 'error', exportedAt: 0, operation: undefined }
    const lines = ids.map((id) =>
      savedLine({ nativeId: id, headers: failureHeaders(id), native: {}, body: Buffer.from(bodyOf(id)), unreadable: undefined }, facts),
    )
    writeFileSync(join(folder, saved), lines.map((line) => `${line}\n`).join(''))
  }

  /** How many calls it makes that change something, when nobody kills it. */
  async calls(): Promise<number> {
    const kill = { ...this.#kill(0), countInto: join(this.#folder, 'calls') }
    const ended = await this.#nsb(this.#command.words, killingBefore(kill))
    if (ended.code !== 0) throw new Error(`${this.name} ended with ${ended.code}: ${ended.stderr}`)
    return countedCalls(kill)
  }

  /**
   * Kills it before one of its calls, goes on, and looks what is where.
   *
   * @param looksFirst somebody lists queues before it is resumed
   * @returns what is wrong, in words; nothing when all is right
   */
  async run(
    number: number,
    { call, looksFirst = false, undo = false }: { readonly call?: string; readonly looksFirst?: boolean; readonly undo?: boolean } = {},
  ): Promise<readonly string[]> {
    const killed = await this.#nsb(this.#command.words, killingBefore({ ...this.#kill(number), ...(call === undefined ? {} : { call }) }))
    const wrong: string[] = []
    const said = [`${this.name} killed before call ${number}${undo ? ', taken back' : ''}`]
    if (looksFirst) {
      await this.#nsb(['queues', 'list'])
      await this.#nsb(['errors', 'list', '--refresh'])
    }
    if (killed.code === null && this.#command.isResumable) wrong.push(...(await this.#resume(undo, looksFirst, said)))
    else await this.#nsb(['queues', 'list'])
    wrong.push(...this.#misplaced(killed.code === null), ...this.#leftovers(), ...(await this.#open()))
    return wrong.length === 0 ? [] : [`${said.join('; ')}: ${wrong.join('; ')}`]
  }

  async #resume(undo: boolean, isRecovered: boolean, said: string[]): Promise<readonly string[]> {
    const before = { sent: this.#visible('Sales'), error: this.#visible('error') }
    const resumed = await this.#nsb(['errors', 'resume', '--json', ...(undo ? ['--undo'] : [])])
    const after = { sent: this.#visible('Sales'), error: this.#visible('error') }
    const document = resumed.stdout.startsWith('{') ? (JSON.parse(resumed.stdout) as ResumeDocument) : undefined
    // It was killed before there was a journal, or after its end.
    if (document === undefined || document.error?.code === 'NSB_OPERATION_NOT_FOUND') return []
    said.push(`said ${resumed.stdout.trim()}`)
    const wrong: string[] = []
    const isSame = (what: string, told: number, done: number): void => {
      if (told !== done) wrong.push(`it says ${what} ${told}, and that was ${done}`)
    }
    if (resumed.code !== 0 && document.edit?.result !== 'uncertain') wrong.push(`resuming ended with ${resumed.code}: ${resumed.stderr}`)
    const { archive, leftInQueue = 0, movedBack, removed = 0, sentAgain = 0, sentFirst = 0 } = document
    isSame('left in queue', leftInQueue, after.error)
    if (document.command === 'replay') isSame('sent', sentFirst + sentAgain, after.sent - before.sent)
    if (document.command === 'import') isSame('imported', sentFirst, after.sent + after.error - before.sent - before.error)
    if (movedBack !== undefined && isRecovered) isSame('moved back', movedBack, after.error - before.error)
    if (archive !== undefined && !undo && isRecovered) isSame('removed', removed + archive.archived, before.error - after.error)
    if (document.staged !== undefined) isSame('left in the staging queue', document.staged.left, this.#visible(document.staged.queue))
    return wrong
  }

  /** Every message is somewhere, and not twice where nobody said that it may be. */
  #misplaced(isKilled: boolean): readonly string[] {
    if (this.name === 'send' || this.name === 'queues purge') return []
    const { most, waiting } = this.#command
    const file = join(this.#folder, kept)
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    return Array.from({ length: messages }, (_, index) => `m${index}`).flatMap((id) => {
      const isIt = (text: string): boolean =>
        text.includes(bodyOf(id).slice(0, -1)) || text.includes(JSON.stringify(bodyOf(id)).slice(1, -3))
      const places = {
        error: messagesIn(this.#storage, 'error').filter(({ body }) => isIt(body)).length,
        sent: messagesIn(this.#storage, 'Sales').filter(({ body }) => isIt(body)).length,
        kept: lines.filter(isIt).length,
      }
      const all = places.error + places.sent + places.kept
      // What was imported is in its file still.
      const least = waiting > 0 ? 1 : isKilled ? 0 : 1
      return all < least || all > most ? [`${id} is in ${JSON.stringify(places)}`] : []
    })
  }

  /** Transactions, bodies without a message, files that name one, staging queues. */
  #leftovers(): readonly string[] {
    const queues = entries(this.#storage).filter((name) => !name.startsWith('.'))
    const ofQueue = (queue: string): readonly string[] => {
      const ids = new Set(entries(join(this.#storage, queue)).map((name) => name.replace('.metadata.txt', '')))
      return [
        ...['.pending', '.committed'].flatMap((stage) =>
          entries(join(this.#storage, queue, stage)).map((name) => join(queue, stage, name)),
        ),
        ...entries(join(this.#storage, queue, '.bodies')).filter((name) => !ids.has(name.replace('.body.txt', ''))),
      ]
    }
    const left = [
      ...queues.filter((queue) => queue.startsWith('nsb.staging.')),
      ...queues.flatMap(ofQueue),
      ...entries(join(this.#storage, '.nsb', 'sending')),
    ]
    return left.map((name) => `left behind: ${name}`)
  }

  async #open(): Promise<readonly string[]> {
    const { items } = (await this.#nsb(['errors', 'resume', '--list', '--json'])).json() as { readonly items: readonly unknown[] }
    return items.length === 0 ? [] : [`${items.length} can be resumed still`]
  }

  #kill(number: number): Kill {
    return { number, below: [this.#storage, this.#state, join(this.#folder, kept)] }
  }

  #visible(queue: string): number {
    return entries(join(this.#storage, queue)).filter((name) => name.endsWith('.metadata.txt')).length
  }

  #nsb(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const needsYes = !words.includes('list') && !words.includes('--list') && words[0] !== 'send'
    return nsb([...words, ...(needsYes ? ['--yes'] : [])], { cwd: this.#folder, env: { NSB_STATE_DIR: this.#state, CI: '1', ...env } })
  }
}

interface ResumeDocument {
  readonly command?: string
  readonly error?: { readonly code: string }
  readonly leftInQueue?: number
  readonly movedBack?: number
  readonly removed?: number
  readonly sentAgain?: number
  readonly sentFirst?: number
  readonly staged?: { readonly queue: string; readonly left: number }
  readonly archive?: { readonly archived: number }
  readonly edit?: { readonly result: string }
}

const bodyOf = (id: string): string => `{"n":"${id}"}`

const entries = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : [])
