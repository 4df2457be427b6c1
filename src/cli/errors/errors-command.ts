import { Flags } from '@oclif/core'
import type { MessageDefinition } from '../../message/declaration.ts'
import { idWord } from '../../message/ids.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { isBrokerQueue } from '../../toolkit/broker-queue.ts'
import type { BrowseOptions, Browsed } from '../../toolkit/errors/browse/browsed.ts'
import type { Patching } from '../../toolkit/errors/edit/patching.ts'
import type { Criteria } from '../../toolkit/errors/select/select.ts'
import { isRunning } from '../../toolkit/errors/journal/read-journal.ts'
import { knownOperations, openOperations, removeOldJournals } from '../../toolkit/errors/journal/operations.ts'
import type { JournalPlace } from '../../toolkit/errors/replay/replay-record.ts'
import { type StagingLeftover, stagingLeftovers } from '../../toolkit/errors/replay/staging.ts'
import { archiveName, archiveOf } from '../../toolkit/errors/archive/archive-folder.ts'
import { SnapshotFile } from '../../toolkit/errors/browse/snapshot.ts'
import { stateFolder } from '../../toolkit/state-folder.ts'
import type { Headers, Transport } from '../../transport/transport.ts'
import type { Confirmation } from '../ask.ts'
import { BaseCommand } from '../base-command.ts'
import { printableLine } from '../printable.ts'
import { relativeTime } from '../relative-time.ts'
import { type SelectionChoice, criteriaFrom } from '../selection-flags.ts'
import { ageText } from './kept-text.ts'

/** Messages an errors command holds at most, since a broker keeps what is held in memory. */
export const maxHoldFlag = Flags.integer({
  default: 100_000,
  min: 1,
  helpGroup: 'CONNECTION',
  helpValue: '<n>',
  summary: 'messages held at most',
})

export const refreshFlag = Flags.boolean({
  helpGroup: 'CONNECTION',
  summary: 'read the queue, even if it was read in the last 10 minutes',
})

/** A quorum queue gives a consumer no more than that without being asked for it, and reading so many takes a while. */
const manyOnQuorum = 2000

/** What the errors commands share: the criteria, the overruled safety rules, what is said about the queue. */
export abstract class ErrorsCommand extends BaseCommand {
  readonly #warned = new Set<string>()
  #leftovers: Promise<readonly StagingLeftover[]> | undefined

  protected criteria(flags: SelectionChoice, ids: readonly string[] = []): Promise<Criteria> {
    return criteriaFrom(flags, ids)
  }

  /** `--force` overrules every rule an errors command may run into. */
  protected get overrule(): readonly string[] {
    return this.globals.force === true ? ['NSB_QUEUE_HAS_CONSUMER', 'NSB_QUEUE_LOCKED', 'NSB_LOOKS_EXHAUSTED', 'NSB_HOLD_TOO_SMALL'] : []
  }

  /** @param cached whether what was seen in the last 10 minutes will do */
  protected browseOptions(
    queue: string,
    criteria: Criteria,
    maxHold: number,
    cached: NonNullable<BrowseOptions['cached']> = false,
  ): BrowseOptions {
    return {
      queue,
      criteria,
      maxHold,
      now: Date.now(),
      overrule: this.overrule,
      signal: this.signal,
      snapshot: this.#snapshot(queue),
      cached,
      opened: ({ depth, kind }) => {
        if (kind === 'quorum' && depth > manyOnQuorum) this.note(`reading all ${depth} messages of '${queue}'`)
      },
    }
  }

  /** What the journal of an operation says of where it runs; of the transport that was opened. Journals that nobody needs any more are removed. */
  protected async journalled(): Promise<JournalPlace> {
    const folder = stateFolder(process.env)
    await removeOldJournals(folder, Date.now())
    const profile = await this.profileName()
    return { stateFolder: folder, where: this.place, profile, archive: archiveName(profile, this.identity) }
  }

  /** Says which operations on the queue were begun and are not over. */
  protected async noteOpenOperations(queue: string): Promise<void> {
    const { damaged, open } = await knownOperations(stateFolder(process.env))
    for (const { operation, path } of damaged) {
      if (this.#warned.has(path)) continue
      this.#warned.add(path)
      this.warning(
        `the journal of operation ${operation} cannot be read: what it has sent is not known, and may be sent twice. When that is settled: rm '${printableLine(path)}'`,
      )
    }
    for (const { command, operation, owner, startedAt, where } of open.filter((head) => head.queue === queue)) {
      if (where !== this.place) continue
      const begun = `${printableLine(command)} ${operation} of '${printableLine(queue)}', begun ${relativeTime(Date.parse(startedAt), Date.now())}`
      if (isRunning(owner)) this.note(`${begun}, is running`)
      else this.warning(`${begun}, is not finished: ${this.placed(`nsb errors resume ${operation}`, queue)}`)
    }
  }

  /** What was seen of a queue does not hold after it was changed. */
  protected forgetSnapshot(queue: string): Promise<void> {
    return this.#snapshot(queue).forget()
  }

  #snapshot(queue: string): SnapshotFile {
    return new SnapshotFile(stateFolder(process.env), this.place, queue, { keepsBodies: this.keepsBodies })
  }

  /** Says what the reader of a list must know about the queue. */
  protected noteFacts(queue: string, browsed: Pick<Browsed, 'asOf' | 'cached' | 'changedBy' | 'facts' | 'unread'>, maxHold: number): void {
    const { cached, facts, unread } = browsed
    if (cached) this.notice(`as '${queue}' was ${ageText(browsed, Date.now())}; --refresh reads it again`)
    else if (isBrokerQueue(facts) && facts.depth > maxHold && unread === 0)
      this.warning(`'${queue}' has ${facts.depth} messages, of which ${maxHold} were read (--max-hold)`)
  }

  /** What changes the bodies of a replay; its archive is closed when the command ends. */
  protected async patching(patch: string, operation: string, queue: string): Promise<Patching> {
    const { Patching } = await import('../../toolkit/errors/edit/patching.ts')
    const place = await this.journalled()
    const patching = new Patching(patch, {
      stateFolder: place.stateFolder,
      archive: archiveOf(place),
      queue,
      operation,
      now: Date.now(),
      definitionOf: (headers) => this.#definitionOf(headers),
    })
    this.atEnd(() => patching.close())
    return patching
  }

  /** undefined: none is known, or it cannot be loaded, which keeps nobody from correcting messages. */
  async #definitionOf(headers: Headers): Promise<MessageDefinition | undefined> {
    try {
      const { schemaOf } = await import('../../toolkit/errors/edit/valid-body.ts')
      // Messages are in hand by now: it is no time for a question.
      const known = await schemaOf({ ...(await this.project()), consent: undefined }, headers)
      if (known !== undefined) this.atEnd(() => known.dispose())
      return known?.definition
    } catch (error) {
      this.warning(`bodies are not checked against the schema of their type: ${errorText(error)}`)
      return undefined
    }
  }

  /** Staging queues are looked for while the queue is read, which takes longer. They are named by {@link noteLeftovers}. */
  protected besideLeftovers(transport: Transport, options: BrowseOptions): BrowseOptions {
    return {
      ...options,
      opened: (facts) => {
        options.opened?.(facts)
        this.#findLeftovers(transport).catch(() => undefined)
      },
    }
  }

  #findLeftovers(transport: Transport): Promise<readonly StagingLeftover[]> {
    this.#leftovers ??= stagingLeftovers(transport).catch((error: unknown) => {
      if (error instanceof NsbError) return []
      throw error
    })
    return this.#leftovers
  }

  /** Names the staging queues of replays that are not over and that nobody runs here. */
  protected async noteLeftovers(transport: Transport): Promise<void> {
    const operations = await openOperations(stateFolder(process.env))
    const running = operations.filter(({ owner }) => isRunning(owner))
    for (const { depth, operation, queue } of await this.#findLeftovers(transport)) {
      if (this.#warned.has(queue) || running.some((head) => head.operation === operation)) continue
      this.#warned.add(queue)
      // Without a journal nobody knows which one they came from.
      const from = operations.find((head) => head.operation === operation)?.queue ?? '<queue>'
      const [resume, undo] = ['', ' --undo'].map((how) => this.placed(`nsb errors resume ${operation}${how}`, from))
      this.warning(`${depth} message${depth === 1 ? '' : 's'} of a replay that is not over in ${queue}: ${resume}, or ${undo}`)
    }
  }

  /** The question, unless the command is ended before it is answered: what is held then has to go back. */
  protected async confirmWhileHeld(question: string, confirmation: Confirmation): Promise<void> {
    const { signal } = this
    const ended = new Promise<never>((_, reject) => {
      const end = (): void => reject(signal.reason as Error)
      if (signal.aborted) end()
      else signal.addEventListener('abort', end, { once: true })
    })
    await Promise.race([this.confirm(question, confirmation), ended])
  }

  protected async profileName(): Promise<string> {
    return (await this.connection()).profile.value
  }

  /** @throws {NsbError} NSB_GROUP_NOT_FOUND where nothing matched and a group was named */
  protected checkGroup(queues: readonly string[], criteria: Criteria): void {
    if ((criteria.group ?? []).length > 0) throw nothingMatched(queues.join("', '"), criteria)
  }

  /** The error queues that were chosen; warns where they hold copies. */
  protected override async errorQueues(): Promise<readonly [string, ...string[]]> {
    const queues = await super.errorQueues()
    for (const queue of queues)
      if (queue.endsWith('.log') && !this.#warned.has(queue)) {
        this.#warned.add(queue)
        this.warning(
          `'${queue}' looks like the queue ServiceControl forwards to: these are copies, and ServiceControl still has the failures`,
        )
      }
    return queues
  }

  /** `queue` for one error queue, `queues` for several. */
  protected queueFields(queues: readonly string[]): { queue: string } | { queues: readonly string[] } {
    return queues.length === 1 ? { queue: queues[0] as string } : { queues }
  }
}

/** Nothing matched, if only because the group that was named is gone. */
export function nothingMatched(queue: string, { group }: Criteria): NsbError {
  if (group === undefined || group.length === 0)
    return new NsbError({
      code: 'NSB_NOTHING_MATCHED',
      message: `No failed message in '${queue}' matches.`,
      suggestions: ['nsb errors list'],
    })
  return new NsbError({
    code: 'NSB_GROUP_NOT_FOUND',
    message: `No failure in '${queue}' that matches is in a group whose id begins with '${group.join("' or '")}': it was replayed or archived, or is of another queue.`,
    suggestions: ['nsb errors groups'],
    details: { group },
  })
}

export const shortIdLength = 8
export const shortId = (id: string): string => id.slice(0, shortIdLength)

/** The same in a command line that is shown to be copied: an id comes from a message, and must be neither a flag nor anything for a shell. */
export const pastedId = (id: string): string => shortId(idWord(id))
