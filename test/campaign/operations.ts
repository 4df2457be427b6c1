import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { readSavedLine } from '../../src/message/saved-message.ts'
import { openOperations } from '../../src/toolkit/errors/journal/operations.ts'
import { type RunningNsb, startNsb } from '../support/running-nsb.ts'
import { Chance } from './chance.ts'
import { type CommandName, type KilledCommand, amountsFor, commandNames, commandOf, momentsOf } from './commands.ts'
import { type FoundMessage, type KnownMessage, idHeader, knownMessages } from './messages.ts'
import { archivesIn } from '../support/archives.ts'
import { journalPaths } from '../support/journals.ts'

/** Queues in which commands are killed, and what can be seen of them. */
export interface OperationsWorld {
  /** Where commands run. */
  readonly folder: string
  readonly state: string
  readonly env: Readonly<Record<string, string>>
  /** Of a large body; a folder takes no new message of more than 64 KiB. */
  readonly largeBytes: number
  /** A second copy of one failure cannot be told from the first, and goes with it (ADR 0017). */
  readonly mergesCopies: boolean
  /** Puts them into the error queue, in this order. */
  fill(messages: readonly KnownMessage[]): Promise<void>
  /** Takes everything out of the queues. */
  drain(): Promise<{ readonly error: readonly FoundMessage[]; readonly target: readonly FoundMessage[] }>
  /** Is it as it was put into the error queue, with all its headers and properties? */
  isAsItWas(found: FoundMessage, message: KnownMessage): boolean
  /** Has a copy the headers that are no text, and the properties, that a receiver wants? */
  isTyped(copy: FoundMessage): boolean
  /** Takes away what commands must not leave behind: staging queues, locks, claims, bodies without a message. @returns their names */
  leftovers(): Promise<readonly string[]>
}

/** What became of all messages of a campaign. */
export interface OperationsAccount {
  /** That met an operation in its work. */
  kills: number
  /** Came before the operation had begun, or when it was over. */
  missed: number
  resumesKilled: number
  undone: number
  messages: number
  /** Kills, by command. */
  readonly met: Record<string, number>
  /** Copies beyond what there was, of which a resume said that they are possible, by command. */
  readonly twice: Record<string, number>
  /** As the resumes said it: so many at most. */
  announced: number
  /** Second copies of one failure that went with the first. */
  merged: number
  /** What must not be: by round, with its seed. */
  readonly wrong: string[]
}

const deadlineMs = 60_000

/**
 * Kills one writing command after the other at some moment, resumes it, or takes it back, and looks where every message is.
 *
 * @param kills so many have to meet an operation in its work; those that miss are tried again, three times as many at most
 */
export async function killOperations(world: OperationsWorld, kills: number, seed: number): Promise<OperationsAccount> {
  const account: OperationsAccount = {
    kills: 0,
    missed: 0,
    resumesKilled: 0,
    undone: 0,
    messages: 0,
    met: {},
    twice: {},
    announced: 0,
    merged: 0,
    wrong: [],
  }
  const paces = new Map<CommandName, number>()
  let deck: CommandName[] = []
  const dealer = new Chance(seed)
  for (let round = 0; account.kills < kills && account.missed < 3 * kills; round++) {
    if (deck.length === 0) deck = dealer.shuffled(commandNames.filter((name) => chosen === undefined || name === chosen))
    const name = deck.pop() as CommandName
    const met = await new Round(world, account, paces, name, round, seed).run()
    if (!met) deck.push(name)
  }
  return account
}

/** What is where, by the ids of messages. */
type Counts = Map<string, number>

class Round {
  readonly #world: OperationsWorld
  readonly #account: OperationsAccount
  readonly #paces: Map<CommandName, number>
  readonly #name: CommandName
  readonly #round: number
  readonly #seed: number
  readonly #chance: Chance
  readonly #state: string
  readonly #env: Readonly<Record<string, string>>
  /** What the commands said, for whoever has to find out what went wrong. */
  #said = ''

  constructor(
    world: OperationsWorld,
    account: OperationsAccount,
    paces: Map<CommandName, number>,
    name: CommandName,
    round: number,
    seed: number,
  ) {
    this.#world = world
    this.#account = account
    this.#paces = paces
    this.#name = name
    this.#round = round
    this.#seed = seed
    this.#chance = new Chance(seed + 7919 * (round + 1))
    this.#state = join(world.state, String(round))
    mkdirSync(this.#state, { recursive: true })
    this.#env = { ...world.env, NSB_STATE_DIR: this.#state }
  }

  /** @returns was it killed in its work? */
  async run(): Promise<boolean> {
    const account = this.#account
    const { messages: count, poison } = amountsFor(this.#name)
    const messages = knownMessages({ round: this.#round, count, poison, largeBytes: this.#world.largeBytes }, this.#chance)
    const command = commandOf(this.#name, this.#state, messages, this.#chance)
    await this.#world.fill(messages.flatMap((message) => Array.from({ length: message.times }, () => message)))
    account.messages += messages.length
    if (command.file?.role === 'from') await this.#finished('errors', 'export', '--all', '--remove', '--file', command.file.path, '--yes')
    const saved = command.file?.role === 'from' ? this.#inFile(command.file.path, messages) : new Map<string, number>()

    const met = await this.#kill(command)
    if (met) {
      account.kills++
      account.met[this.#name] = (account.met[this.#name] ?? 0) + 1
    } else account.missed++
    const undo = met && this.#chance.isLucky(0.25)
    if (undo) account.undone++
    const announced = await this.#resume(undo)
    account.announced += announced
    const wrong = await this.#wrong(command, messages, saved, { announced, isFinished: met && !undo })
    if (wrong.length === 0) return met
    const about = `${this.#name}, round ${this.#round}, seed ${this.#seed}: ${command.words.join(' ')}${undo ? ' (undone)' : ''}`
    account.wrong.push(`${about}: ${wrong.slice(0, 5).join('; ')}`)
    console.log(`${account.wrong.at(-1)}\n${this.#said}`)
    for (const file of this.#journals()) console.log(readFileSync(file, 'utf8').slice(0, 20_000))
    return met
  }

  /** @returns was it killed before it was over, and after it had begun? */
  async #kill({ words }: KilledCommand): Promise<boolean> {
    const process = this.#start(words)
    const isBegun = (): boolean => this.#journals().length > 0
    await until(isBegun, process)
    const guess = this.#paces.get(this.#name) ?? momentsOf(this.#name).lastsMs
    await this.#moment(process, guess)
    process.kill('SIGKILL')
    const isKilled = (await process.ended) === null
    this.#paces.set(this.#name, Math.max(3, guess * (isKilled ? 1.1 : 0.7)))
    this.#note(words, process, isKilled)
    return isKilled && isBegun() && (await openOperations(this.#state)).length > 0
  }

  /** Some time after the beginning, or just after some line was written. */
  async #moment(process: RunningNsb, mostMs: number): Promise<void> {
    const chance = this.#chance
    if (chance.isLucky(0.5)) return pause(chance.next() * mostMs)
    const [line, most] = chance.oneOf(momentsOf(this.#name).lines)
    const times = chance.between(1, most)
    await until(() => this.#journals().some((path) => readFileSync(path, 'utf8').split(line).length > times), process)
    if (chance.isLucky(0.5)) await pause(chance.next() * Math.min(4, mostMs / 4))
  }

  /** Goes on until nothing is open. @returns how many messages may be there twice, as they said it */
  async #resume(undo: boolean): Promise<number> {
    const chance = this.#chance
    let kills = chance.isLucky(0.4) ? chance.between(1, 2) : 0
    // It may be taken back at the second attempt only.
    const undoFrom = kills > 0 && chance.isLucky(0.3) ? 1 : 0
    let announced = 0
    const end = Date.now() + deadlineMs
    for (let attempt = 0; (await openOperations(this.#state)).length > 0; attempt++) {
      if (Date.now() > end) throw new Error(`round ${this.#round}, seed ${this.#seed}: it never ends\n${this.#said}`)
      const asJson = chance.isLucky(0.4)
      const words = ['errors', 'resume', '--yes', ...(undo && attempt >= undoFrom ? ['--undo'] : []), ...(asJson ? ['--json'] : [])]
      const resumed = this.#resumptions()
      const process = this.#start(words)
      if (kills-- > 0) {
        await until(() => this.#resumptions() > resumed, process)
        await pause(chance.next() * (chance.isLucky(0.5) ? 20 : 200))
        process.kill('SIGKILL')
        this.#account.resumesKilled++
      }
      const code = await process.ended
      this.#note(words, process, code === null)
      // The last one that says something has to say all of it; one that is killed before it did leaves the operation open.
      announced = Math.max(announced, announcedIn(process))
      // 3: some cannot be sent. 4: it is over. 6: the broker has not noticed yet that nobody is there any more. 7: nobody answers.
      if (code !== null && ![0, 3, 4, 6, 7].includes(code))
        throw new Error(`round ${this.#round}, seed ${this.#seed}: ${code}\n${this.#said}`)
      if (code === 6) await pause(50)
    }
    return announced
  }

  async #wrong(
    command: KilledCommand,
    messages: readonly KnownMessage[],
    saved: Counts,
    { announced, isFinished }: { readonly announced: number; readonly isFinished: boolean },
  ): Promise<readonly string[]> {
    const wrong: string[] = []
    const known = new Map(messages.map((message) => [message.id, message]))
    const { error, target } = await this.#world.drain()
    const [originals, copies] = [new Map<string, number>(), new Map<string, number>()]
    const look = (place: 'error' | 'target', found: FoundMessage): void => {
      const id = String(found.headers[idHeader])
      const message = known.get(id)
      if (message === undefined) wrong.push(`${id} in ${place} is from elsewhere`)
      else if (place === 'error' && this.#world.isAsItWas(found, message)) count(originals, id)
      else if (
        (place === 'target' || command.changes !== undefined) &&
        isCopy(found, message, command.changes) &&
        this.#world.isTyped(found)
      )
        count(copies, id)
      else wrong.push(`${id} (${message.nature}) in ${place} is not what it was`)
    }
    for (const found of error) look('error', found)
    for (const found of target) look('target', found)
    const inFile = command.file?.role === 'to' ? this.#inFile(command.file.path, messages) : new Map<string, number>()
    const inArchive = command.changes === undefined ? inFile : this.#inArchive(messages)

    let twice = 0
    const doubled: string[] = []
    for (const message of messages) {
      const { id, nature } = message
      const [there, sent, kept] = [originals, copies, inFile].map((counts) => counts.get(id) ?? 0) as [number, number, number]
      const places = `${id} (${nature}): ${there} in the error queue, ${sent} sent, ${kept} in the file`
      const lines = saved.get(id) ?? 0
      // What was imported stays in its file.
      const least = command.file?.role === 'from' ? message.times - lines : command.deletes ? 0 : message.times
      // Into the error queue comes only what is not there, unless duplicates are wanted.
      const most = least + (this.#name === 'import' && least > 0 ? 0 : lines)
      const all = there + sent + kept
      if (all < least) {
        if (all > 0 && this.#world.mergesCopies) this.#account.merged += least - all
        else wrong.push(`lost ${places}`)
      }
      const beyond = all - (command.deletes ? message.times : most)
      if (beyond > 0) {
        twice += beyond
        doubled.push(places)
      }
      if (isFinished && command.mustGo(message) && (there > 0 || sent === 0)) wrong.push(`not done with ${places}`)
      if (isFinished && lines > 0 && all === 0 && !(nature === 'noTarget' && this.#name === 'import --replay'))
        wrong.push(`not imported ${places}`)
      if (command.changes !== undefined && sent > 0 && !inArchive.has(id)) wrong.push(`not archived ${places}`)
      if (command.only !== undefined && command.only !== id && sent > 0) wrong.push(`not meant ${places}`)
    }
    if (twice > announced) wrong.push(`${twice} are there twice, and ${announced} were announced: ${doubled.join(', ')}`)
    if (twice > 0) this.#account.twice[this.#name] = Math.min(twice, announced) + (this.#account.twice[this.#name] ?? 0)
    // A message that is not part of a transaction is its body first; a killed import leaves one that nobody will see.
    const left = (await this.#world.leftovers()).filter((each) => !this.#name.startsWith('import') || !each.includes('.bodies'))
    wrong.push(...left.map((each) => `left behind: ${each}`))
    return wrong
  }

  #inArchive(messages: readonly KnownMessage[]): Counts {
    const counts: Counts = new Map()
    for (const folder of archivesIn(this.#state).map((archive) => join(archive, 'error')))
      for (const name of existsSync(folder) ? readdirSync(folder) : [])
        for (const [id, times] of this.#inFile(join(folder, name), messages)) counts.set(id, times + (counts.get(id) ?? 0))
    return counts
  }

  /** Lines that are whole and say what the messages are; the last one may have been cut. */
  #inFile(path: string, messages: readonly KnownMessage[]): Counts {
    const known = new Map(messages.map((message) => [message.id, message]))
    const counts: Counts = new Map()
    for (const text of existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []) {
      const line = (() => {
        try {
          return readSavedLine(text, { verifyHash: true })
        } catch {
          return undefined
        }
      })()
      const message = line && known.get(line.headers[idHeader] as string)
      const isWhole = message && Object.entries(message.headers).every(([name, value]) => line.headers[name] === value)
      if (isWhole && message.body.equals(line.body)) count(counts, message.id)
    }
    return counts
  }

  async #finished(...words: readonly string[]): Promise<void> {
    const process = this.#start(words)
    const code = await process.ended
    expect(code, process.stderr).toBe(0)
  }

  #start(words: readonly string[]): RunningNsb {
    return startNsb(words, this.#world.folder, this.#env)
  }

  #note(words: readonly string[], { stderr, stdout }: RunningNsb, isKilled: boolean): void {
    this.#said += `$ nsb ${words.join(' ')}${isKilled ? '   (killed)' : ''}\n${stderr}${stdout}`
  }

  /** Those of the command that is killed. */
  #journals(): readonly string[] {
    return journalPaths(this.#state).filter(
      (path) => !this.#name.startsWith('import') || !readFileSync(path, 'utf8').includes('"command":"export"'),
    )
  }

  #resumptions(): number {
    return this.#journals().reduce((sum, path) => sum + readFileSync(path, 'utf8').split('"resumed":').length - 1, 0)
  }
}

/** The message as a receiver wants it, whatever a replay did to its other headers. */
function isCopy(found: FoundMessage, message: KnownMessage, changes: KilledCommand['changes']): boolean {
  const kept = [idHeader, 'Campaign.Text', 'NServiceBus.ConversationId', 'NServiceBus.ContentType', 'NServiceBus.EnclosedMessageTypes']
  const isSame = kept.every((name) => found.headers[name] === message.headers[name])
  const messageId = 'NServiceBus.MessageId'
  if (changes === undefined) return isSame && found.body.equals(message.body) && found.headers[messageId] === message.headers[messageId]
  const changed = { ...(JSON.parse(message.body.toString()) as object), ...changes }
  return isSame && found.body.toString() === JSON.stringify(changed) && found.headers[messageId] !== message.headers[messageId]
}

/** How many messages may be there twice, in the words of a resume, or by its document. */
function announcedIn({ stderr, stdout }: RunningNsb): number {
  const number = (pattern: RegExp): number => Number(pattern.exec(stderr + stdout)?.[1] ?? 0)
  const before = number(/up to (\d+) messages? may be there twice/)
  const document = documentIn(stdout)
  if (document !== undefined) {
    const { archive, edit, mayArriveTwice = 0, uncertain = 0 } = document
    const inArchive = archive?.inBoth ?? archive?.uncertain ?? 0
    return Math.max(before, mayArriveTwice + uncertain + inArchive + (edit?.result === 'uncertain' ? 1 : 0))
  }
  const after =
    number(/\(up to (\d+) may arrive twice\)/) +
    number(/left alone (\d+) without a time of failure, which may have been sent/) +
    number(/up to (\d+) may be in the error queue twice/) +
    number(/up to (\d+) (?:that were left )?may have been sent/) +
    number(/Up to (\d+) are in it and in the queue/) +
    number(/(\d+) have no time of failure: each of them is in the file, in the queue, or in both/) +
    number(/Of (\d+) nobody knows whether they had been sent/) +
    (/may have been sent to '.*', and nobody can tell/.test(stderr + stdout) ? 1 : 0)
  return Math.max(before, after)
}

interface ResumeDocument {
  readonly mayArriveTwice?: number
  readonly uncertain?: number
  readonly archive?: { readonly uncertain: number; readonly inBoth?: number }
  readonly edit?: { readonly result: string }
}

function documentIn(stdout: string): ResumeDocument | undefined {
  return stdout.startsWith('{') ? (JSON.parse(stdout) as ResumeDocument) : undefined
}

/** Waits for something, or for the end of the process. */
async function until(isSo: () => boolean, process: RunningNsb): Promise<void> {
  let isOver = false
  void process.ended.then(() => (isOver = true))
  const end = Date.now() + deadlineMs
  while (!isOver && !isSo() && Date.now() < end) await pause(1)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

function count(counts: Counts, id: string): void {
  counts.set(id, (counts.get(id) ?? 0) + 1)
}

const inCampaign = process.env['NSB_CAMPAIGN'] === '1'

/** The short form is a test like others; the long one takes minutes. */
export const operationKills = inCampaign ? Number(process.env['NSB_CAMPAIGN_KILLS'] ?? 100) : 6
export const operationSeed = Number(process.env['NSB_CAMPAIGN_SEED'] ?? Math.floor(Math.random() * 1_000_000))
/** Only this one, to look closely at it. */
const chosen = process.env['NSB_CAMPAIGN_COMMAND']
