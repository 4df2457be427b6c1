import { Args, Flags } from '@oclif/core'
import { boundMemory, replaysYoungMiB } from '../../src/cli/bounded-memory.ts'
import { ErrorsCommand, maxHoldFlag } from '../../src/cli/errors/errors-command.ts'
import { failureLines, warningsOf } from '../../src/cli/errors/replay-text.ts'
import { type Leftovers, type Resumable, resumable } from '../../src/cli/errors/resumable.ts'
import { resumeDocument, resumeExitCode, resumeLine, resumeQuestion } from '../../src/cli/errors/resume-report.ts'
import { chosenPace } from '../../src/cli/errors/pace-flags.ts'
import { pacingOf } from '../../src/cli/errors/replay-pacing.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { Progress } from '../../src/cli/progress.ts'
import { relativeTime } from '../../src/cli/relative-time.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { waitUntilFree } from '../../src/toolkit/errors/hold.ts'
import { knownOperations } from '../../src/toolkit/errors/journal/operations.ts'
import type { ReadJournal } from '../../src/toolkit/errors/journal/read-journal.ts'
import { readReplayRecord } from '../../src/toolkit/errors/replay/replay-record.ts'
import { adoptLeftover, leftoverOf } from '../../src/toolkit/errors/replay/resume-staged.ts'
import { stagingLeftovers, stagingQueue } from '../../src/toolkit/errors/replay/staging.ts'
import { type ResumeReport, findOperation, listOperations, mayBeThereTwice, resumeOperation } from '../../src/toolkit/errors/resume.ts'
import { stateFolder } from '../../src/toolkit/state-folder.ts'
import type { Transport } from '../../src/transport/transport.ts'

/** Messages that were not sent, or failed again, in lines of their own. */
const mostShown = 20

export default class ErrorsResume extends ErrorsCommand {
  static override summary = 'go on with an operation that was interrupted, or take it back'
  static override description =
    `Reads the journal of an operation that was killed or interrupted, and the queue. Of a replay: what is known to have arrived is only removed from the error queue; what had been begun with is sent again, and up to a window of it may arrive twice, for every time that it was killed: it says how many before it begins; what had been selected and not begun with is sent; everything else stays. Options are those the operation was begun with. A journal is in the state folder of the machine where the operation began: elsewhere nobody can tell what was sent; --list names the staging queues of such operations too. Batches begin anew, with a question between them where there is a terminal.

With --undo nothing is sent any more. Of a replay, what has arrived cannot be called back: it is removed from the error queue, and the rest stays there. Of a staged replay, what is in its staging queue goes back to the error queue as it was; that can be done from any machine.

Exit codes: 0 all done; 2 usage, or more than one operation can be meant; 3 some were not done; 4 no such operation; 5 the transport cannot be reached; 6 not confirmed, still running, or refused by a safety rule; 7 and 8 as errors replay --wait.`
  static override examples = [
    '<%= config.bin %> errors resume --list',
    '<%= config.bin %> errors resume',
    '<%= config.bin %> errors resume 01K9Z3 --yes',
    '<%= config.bin %> errors resume 01K9Z3 --undo',
  ]
  static override args = {
    operation: Args.string({ description: 'id of the operation, or how it begins; default: the only one', ignoreStdin: true }),
  }
  static override flags = {
    undo: Flags.boolean({ helpGroup: 'ACT', summary: 'take it back, as far as that can be done' }),
    list: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'show what can be resumed, and do nothing', exclusive: ['undo'] }),
    'max-hold': maxHoldFlag,
  }

  #isConfirmed = false

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsResume)
    if (flags.list) return this.#list()
    const { transport: kind } = await this.connection()
    const release = boundMemory(kind.value === 'rabbitmq' ? replaysYoungMiB : undefined)
    this.atEnd(async () => release())
    const named = this.globals['error-queue'] === undefined ? undefined : await this.errorQueue()
    const transport = await this.openTransport()
    const overrule = [...this.overrule, ...(this.globals.force === true ? ['NSB_OPERATION_RUNNING'] : [])]
    const { profile, stateFolder: folder, where } = await this.journalled()
    const asked = { id: args.operation, where, queue: named, overrule }
    const journal = await findOperation(folder, asked).catch((error: unknown) =>
      this.#adopted(error, transport, args.operation, flags.undo),
    )
    const { queue, startedAt } = journal.head
    const isAnswered = await this.isAnswered()
    if (!this.#isConfirmed) {
      const place = journal.phase === undefined ? queue : stagingQueue(journal.head.operation)
      await waitUntilFree(transport, place, { overrule, signal: this.signal })
      const waiting = (await transport.inspect(place))?.depth ?? 0
      await this.confirm(resumeQuestion(journal, flags.undo, relativeTime(Date.parse(startedAt), Date.now()), waiting))
    }
    await this.forgetSnapshot(queue)
    const twice = mayBeThereTwice(transport, journal, flags.undo)
    if (twice > 0)
      this.note(`up to ${twice} message${twice === 1 ? '' : 's'} may be there twice: what became of them could not be noted any more`)
    const patch = journal.head.command === 'replay' ? (await readReplayRecord(journal.head.options))?.pace.patch : undefined
    const progress = this.#progress()
    const report = await resumeOperation(transport, journal, {
      undo: flags.undo,
      overrule,
      maxHold: flags['max-hold'],
      signal: this.signal,
      clock: Date.now,
      progress: (step) => progress?.show(step),
      patching: patch === undefined ? undefined : await this.patching(patch, journal.head.operation, queue),
      pacing: ({ batch, batchPause, rate }) =>
        pacingOf(chosenPace({ batch, rate, 'batch-pause': batchPause }, { interactive: this.terminal.interactive, yes: isAnswered }), {
          ask: (question, flag) => this.ask(question, flag),
          note: (text) => this.note(text),
          endProgress: () => progress?.end(),
          signal: this.signal,
        }),
    })
    progress?.end()
    this.#show(report)
    this.finish(resumeExitCode(report))
    return resumeDocument(profile, report)
  }

  /** A staged replay that was begun elsewhere: its queue is there, and its journal is not. @param missing why there is no journal */
  async #adopted(missing: unknown, transport: Transport, id: string | undefined, undo: boolean): Promise<ReadJournal> {
    const isMissing = missing instanceof NsbError && missing.code === 'NSB_OPERATION_NOT_FOUND'
    const leftover =
      isMissing && id !== undefined ? await leftoverOf(transport, id).catch((error: unknown) => unlisted(error, missing)) : undefined
    if (leftover === undefined) throw missing
    const { depth, operation, queue: staging } = leftover
    const queue = await this.errorQueue()
    this.warning(
      `the journal of operation ${operation} is not here: nobody can tell which messages of ${staging} were sent already, so some may arrive twice`,
    )
    const messages = `${depth} message${depth === 1 ? '' : 's'} of ${staging}`
    await this.confirm(undo ? `Move ${messages} to '${printableLine(queue)}'?` : `Send ${messages} to where each of them failed?`)
    this.#isConfirmed = true
    const { redirects } = await this.project()
    const chosen = { all: true, to: undefined, redirects, limit: undefined, newest: false }
    return adoptLeftover(await this.journalled(), leftover, { ...this.browseOptions(queue, {}, Number.MAX_SAFE_INTEGER), ...chosen })
  }

  async #list(): Promise<unknown> {
    const folder = stateFolder(process.env)
    const { damaged } = await knownOperations(folder)
    const operations = resumable(await listOperations(folder), damaged, await this.#leftovers())
    if (operations.length === 0) this.note('nothing can be resumed')
    else
      await this.table(operations, [
        { name: 'operation', value: ({ operation }) => operation },
        { name: 'command', value: ({ command }) => command && printableLine(command) },
        { name: 'queue', value: ({ queue }) => queue && printableLine(queue) },
        { name: 'begun', value: ({ startedAt }) => relativeTime(Date.parse(startedAt), Date.now()) },
        { name: 'messages', value: ({ begun }) => begun, align: 'right' },
        { name: 'safe', value: ({ safe }) => safe, align: 'right' },
        { name: 'staged', value: ({ staged }) => staged, align: 'right' },
        { name: 'state', value: stateOf },
        { name: 'where', value: ({ damaged: path, where = path ?? '' }) => printableLine(where) },
      ])
    return { schema: 'nsb.errors.resume/1', items: operations }
  }

  /** Staging queues of the transport that the command would connect with. Without it the journals are worth telling all the same. */
  async #leftovers(): Promise<Leftovers> {
    try {
      const found = await stagingLeftovers(await this.openTransport())
      return { found, where: (await this.journalled()).where }
    } catch (error) {
      if (!(error instanceof NsbError)) throw error
      this.warning(`staging queues are not among them: ${error.message}`)
      return { found: [], where: '' }
    }
  }

  #progress(): Progress | undefined {
    const quiet = this.globals['no-progress'] === true || this.globals.quiet === true || process.env['CI'] !== undefined
    return quiet ? undefined : new Progress({ write: (text) => process.stderr.write(text), terminal: process.stderr.isTTY, now: Date.now })
  }

  #show(report: ResumeReport): void {
    for (const line of failureLines(report, mostShown)) this.note(`${this.colour.err.failure('✗')} ${line}`)
    for (const warning of warningsOf(report, this.signal.aborted)) this.warning(warning)
    this.out(resumeLine(report))
    if (!report.isOver) this.next(`nsb errors resume ${report.operation}`)
    else if (report.failed > 0) this.next('nsb errors list', 'nsb errors groups')
  }
}

function stateOf({ damaged, running }: Resumable): string {
  if (damaged !== undefined) return 'damaged journal'
  return running === undefined ? 'no journal here' : running ? 'running' : 'interrupted'
}

/** There is no journal, and staging queues cannot be listed; the one of a whole id can be asked for. */
function unlisted(error: unknown, missing: NsbError): never {
  if (!(error instanceof NsbError)) throw error
  const { code, details, message, suggestions } = missing
  throw new NsbError({
    code,
    message: `${message} Nor can staging queues be looked for: ${error.message}`,
    suggestions: ['Name all 26 characters of the operation', ...suggestions],
    details,
  })
}
