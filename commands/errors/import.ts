import { createReadStream, fstatSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { Args, Flags } from '@oclif/core'
import { ArchiveCommand, mostWithoutTyping } from '../../src/cli/errors/archive-command.ts'
import { importDocument, importExitCode, importSummary } from '../../src/cli/errors/archive-report.ts'
import { maxHoldFlag, shortId } from '../../src/cli/errors/errors-command.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { NsbError, errorText } from '../../src/message/nsb-error.ts'
import {
  type ImportOptions,
  type ImportReport,
  type ImportedLine,
  cannotRead,
  importLines,
  isQueueMissing,
  type Present,
  presentIn,
} from '../../src/toolkit/errors/archive/import.ts'
import { archivingOperation, filesOfOperation, linesOf } from '../../src/toolkit/errors/archive/find-archived.ts'
import { type ReadLine, readLines, withFirst } from '../../src/toolkit/read-lines.ts'
import { type ImportRecord, importedFile } from '../../src/toolkit/errors/archive/resume-import.ts'
import { Spool } from '../../src/toolkit/errors/archive/spool.ts'
import { KeySet } from '../../src/toolkit/errors/journal/key-set.ts'
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import { stateFolder } from '../../src/toolkit/state-folder.ts'
import type { Transport } from '../../src/transport/transport.ts'

const mostShown = 20

export default class ErrorsImport extends ArchiveCommand {
  static override summary = 'bring messages of an archive or an export back'
  static override description =
    `Publishes each line of a file, or of stdin for -, to the error queue or to --to; with --operation those that an archive has written, which
is found by its id: in the archive of this connection and error queue, or where its journal says. With --replay a copy goes straight to where the message
failed, or to --to, as errors replay sends it; whether it is in the error queue too is then not looked at.

A failure that is in the queue already, or came before in the input, is skipped, so importing twice changes nothing. To know it, the
queue is looked at, which is refused beside a consumer, and for stdin when its end has come: an export that writes there has the queue
in hand until then. --allow-duplicates saves that. Every body is compared with the sha256 of its line; --no-hash is for lines that were
changed on purpose. A line that cannot be imported is named with its number and the reason, and the others are imported.

Headers, with their types, properties and bodies come back as they were; left out are an expiration, with which a message would vanish
from the error queue, the headers CC and BCC, by which a broker would send it elsewhere too, and the user id, which is the publisher's.

Exit codes: 0 all done, skipped ones included; 2 usage; 3 some lines were rejected or could not be sent; 4 there was no message; 5 the transport cannot be reached; 6 not confirmed, or refused by a safety rule.`
  static override examples = [
    '<%= config.bin %> errors export > failed.ndjson && <%= config.bin %> errors import failed.ndjson --yes',
    '<%= config.bin %> errors export > failed.ndjson && <%= config.bin %> errors import failed.ndjson --dry-run --json',
    '<%= config.bin %> errors import --operation 01KB9GZ3C5W0N8Q2R4T6V8XAYD --yes',
    "<%= config.bin %> errors export --type FailingOrder | jq -c '.body.data |= (fromjson | .Quantity = 1 | tojson)' | <%= config.bin %> errors import - --replay --no-hash --yes",
  ]
  static override args = {
    source: Args.string({ ignoreStdin: true, description: 'file of lines as export and archive write them; - is stdin' }),
  }
  static override flags = {
    operation: Flags.string({ helpValue: '<id>', helpGroup: 'SELECT', summary: 'messages of this archive, export or edit' }),
    replay: Flags.boolean({ helpGroup: 'ACT', summary: 'send copies to where the messages failed' }),
    to: Flags.string({ helpValue: '<queue>', helpGroup: 'ACT', summary: 'send them there instead' }),
    'allow-duplicates': Flags.boolean({ helpGroup: 'ACT', summary: 'import also what is there already' }),
    hash: Flags.boolean({
      default: true,
      allowNo: true,
      helpGroup: 'ACT',
      summary: 'refuse bodies that were changed; --no-hash takes them',
    }),
    'dry-run': Flags.boolean({ helpGroup: 'ACT', summary: 'read all lines and show what would be imported where; change nothing' }),
    window: Flags.integer({ min: 1, default: 50, helpValue: '<n>', helpGroup: 'ACT', summary: 'messages sent and not yet safe at once' }),
    'max-hold': maxHoldFlag,
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsImport)
    const errorQueue = await this.errorQueue()
    const { redirects } = await this.project()
    const queue = flags.to ?? (flags.replay ? undefined : errorQueue)
    const { source } = args
    if (source === undefined && flags.operation === undefined) throw whatToImport()
    const isStdin = source === '-'
    if (isStdin && process.stdin.isTTY) throw cannotRead('-', new Error('stdin is a terminal'))
    // A file that cannot be read is refused before anything is opened.
    if (source !== undefined && !isStdin) importedFile(resolve(source))
    // Nobody can type an answer where the lines come from.
    if (isStdin && !flags['dry-run']) await this.confirm(`Import the lines of stdin to ${whereTo(queue)}?`)
    this.boundMemory()
    const transport = await this.openTransport()
    const only = flags.operation === undefined ? undefined : await archivingOperation(stateFolder(process.env), flags.operation)
    const path = resolve(source ?? (await this.#archiveWith(only, errorQueue)))
    const file = isStdin ? undefined : importedFile(path)
    const isMissing = queue !== undefined && (await isQueueMissing(transport, queue, flags.to !== undefined))
    const allowDuplicates = flags['allow-duplicates'] === true
    const replay = flags.replay === true
    const holding = { maxHold: flags['max-hold'], overrule: this.overrule, signal: this.signal }
    const isLooking = !allowDuplicates && !flags.replay && queue !== undefined
    const operation = newOperationId(Date.now())
    // Who writes to the pipe, an export perhaps, has the queue in hand until the last line has come.
    const spool = isStdin && isLooking && !isFile(process.stdin.fd) ? await this.#spooled(operation) : undefined
    const lines = (): Promise<AsyncIterable<ReadLine>> =>
      this.#lines(spool?.read() ?? (isStdin ? process.stdin : createReadStream(path)), isStdin ? '-' : path, only)
    const progress = this.progress()
    this.atEnd(async () => progress?.end())
    let of = 0
    let present: Present | undefined
    const release = (): Promise<void> => present?.release() ?? Promise.resolve()
    const options = async (): Promise<ImportOptions> => ({
      operation,
      journal: undefined,
      queue,
      replay,
      redirects,
      verifyHash: flags.hash,
      present: allowDuplicates ? undefined : isLooking ? (present = await presentIn(transport, queue, holding)).keys : new KeySet(),
      window: flags.window,
      everyItem: this.jsonEnabled(),
      signal: this.signal,
      clock: Date.now,
      progress: ({ done, failed }) => progress?.show({ doing: 'importing', done, of: Math.max(of, done), failed }),
    })
    const about = { profile: await this.profileName(), ...(queue !== undefined && { queue }) }
    const { protect } = await this.connection()
    const isConfirmed = isStdin || (this.globals.yes === true && !protect)

    if (flags['dry-run'] || !isConfirmed) {
      const planned = await this.#plan(transport, await lines(), await options(), release)
      this.signal.throwIfAborted()
      of = planned.read
      await this.#showTargets(transport, planned)
      if (flags['dry-run']) return this.#end(about, operation, planned, { dryRun: true, replay })
      if (planned.imported > 0)
        await this.confirm(`Import ${planned.imported} message${planned.imported > 1 ? 's' : ''} to ${whereTo(queue)}?`, {
          typed: planned.imported > mostWithoutTyping || flags.to !== undefined ? String(planned.imported) : undefined,
        })
    }
    await this.noteOpenOperations(queue ?? errorQueue)
    if (queue !== undefined) await this.forgetSnapshot(queue)
    // A journal is of what was begun, so all that may refuse comes before it.
    const input = await lines()
    if (isMissing) await transport.createQueues([queue])
    const chosen = await options()
    const record: ImportRecord = {
      replay,
      redirects,
      ...(flags.to !== undefined && { to: flags.to }),
      ...(file !== undefined && { file }),
      ...(only !== undefined && { only }),
      verifyHash: flags.hash,
      allowDuplicates,
      window: flags.window,
    }
    const journal = await this.beginJournal('import', operation, queue ?? errorQueue, record)
    try {
      const report = await importLines(transport, input, { ...chosen, journal })
      const { failed, imported, rejected, skipped, stoppedBy } = report
      // What came from stdin does not come again.
      if (stoppedBy === undefined && (isStdin || !this.signal.aborted)) journal.end({ imported, skipped, rejected, failed })
      if (this.signal.aborted)
        this.warning(
          `interrupted: the rest was not imported${isStdin ? '' : `; ${this.placed(`nsb errors resume ${operation}`)} goes on with it`}`,
        )
      return this.#end(about, operation, report, { dryRun: false, replay })
    } finally {
      journal.close()
      await release()
    }
  }

  /** What would be imported. */
  async #plan(
    transport: Transport,
    lines: AsyncIterable<ReadLine>,
    options: ImportOptions,
    release: () => Promise<void>,
  ): Promise<ImportReport> {
    try {
      return await importLines(transport, lines, options)
    } finally {
      await release()
    }
  }

  /** The file that has the messages of an operation. @throws {NsbError} NSB_BAD_INPUT where there are several, and why there is none */
  async #archiveWith(operation = '', queue: string): Promise<string> {
    const [file, ...further] = await filesOfOperation(await this.journalled(), queue, operation)
    if (further.length === 0) return file
    throw new NsbError({
      code: 'NSB_BAD_INPUT',
      message: `Messages of operation ${operation} are in ${1 + further.length} files:\n${[file, ...further].join('\n')}`,
      suggestions: [`Import each: nsb errors import <file> --operation ${operation}`],
      details: { operation, files: [file, ...further] },
    })
  }

  /** All that comes from stdin, once its end has come. */
  async #spooled(operation: string): Promise<Spool> {
    const input = process.stdin
    const end = (): void => void input.destroy()
    this.signal.addEventListener('abort', end)
    try {
      const spool = await Spool.of(input as AsyncIterable<Uint8Array>, stateFolder(process.env), `import-${operation}.ndjson`)
      this.atEnd(() => spool.close())
      this.signal.throwIfAborted()
      return spool
    } catch (error) {
      this.signal.throwIfAborted()
      throw error instanceof NsbError ? error : cannotRead('-', error)
    } finally {
      this.signal.removeEventListener('abort', end)
    }
  }

  /** @throws {NsbError} NSB_NOTHING_MATCHED, NSB_BAD_INPUT: nothing of it can be imported */
  async #lines(input: Readable, source: string, only: string | undefined): Promise<AsyncIterable<ReadLine>> {
    const read = this.#read(input, source)
    const { first, lines } = await withFirst(only === undefined ? read : linesOf(only, read))
    this.signal.throwIfAborted()
    if (first === undefined) throw nothingToImport(source, only)
    if (/^\s*[{[]\s*$/.test(first.text)) throw notOneALine(source)
    return lines
  }

  async *#read(input: Readable, source: string): AsyncIterable<ReadLine> {
    const end = (): void => void input.destroy()
    this.signal.addEventListener('abort', end)
    try {
      for await (const line of readLines(input as AsyncIterable<Uint8Array>)) if (!isSummary(line)) yield line
    } catch (error) {
      if (!this.signal.aborted) throw cannotRead(source, error)
    } finally {
      this.signal.removeEventListener('abort', end)
    }
  }

  async #showTargets(transport: Transport, { targets }: ImportReport): Promise<void> {
    const [...all] = targets
    for (const [target, count] of all.toSorted(([, a], [, b]) => b - a).slice(0, mostShown)) {
      const facts = await transport.inspect(target).catch(() => undefined)
      this.note(`  ${printableLine(target)}  ${count}  (${facts === undefined ? 'no such queue' : 'queue exists'})`)
    }
    if (all.length > mostShown) this.note(`  and ${all.length - mostShown} other queues`)
  }

  #end(
    about: { profile: string; queue?: string },
    operation: string,
    report: ImportReport,
    { dryRun, replay }: { readonly dryRun: boolean; readonly replay: boolean },
  ): unknown {
    for (const item of report.items.filter(({ error }) => error !== undefined).slice(0, mostShown)) this.note(this.#problemLine(item))
    if (report.items.some(({ error }) => error?.code === 'NSB_HASH_MISMATCH'))
      this.note('--no-hash imports lines whose bodies were changed on purpose')
    if (report.stoppedBy !== undefined) this.warning(`stopped: ${errorText(report.stoppedBy)} The rest was not imported`)
    if (report.skipped > 0) this.note('skipped is what is in the queue already, or twice in the file; --allow-duplicates imports that too')
    if (replay && report.notRemoved > 0)
      this.note(
        `${report.notRemoved} of them came from an export without --remove: the originals may be in the error queue still (${this.placed('nsb errors archive')})`,
      )
    if (dryRun) this.note('dry run: nothing was changed')
    this.out(importSummary(report, dryRun ? undefined : operation))
    this.finish(importExitCode(report))
    return importDocument(about, operation, report, dryRun)
  }

  #problemLine({ error, line, result, target, uniqueId }: ImportedLine): string {
    const what = [`line ${line}`, ...(uniqueId === undefined ? [] : [shortId(uniqueId)]), ...(target === undefined ? [] : [target]), result]
    return `${this.colour.err.failure('✗')} ${printableLine(what.join('  '))}: ${printableLine(error?.message ?? '')}`
  }
}

/** The last line of `export --json`. */
const isSummary = ({ text }: ReadLine): boolean => text.startsWith('{"schema":"nsb.summary/1"')

/** Is it there as a whole already? */
function isFile(descriptor: number): boolean {
  return fstatSync(descriptor).isFile()
}

const whereTo = (queue: string | undefined): string => (queue === undefined ? 'where each of them failed' : `'${printableLine(queue)}'`)

/** JSON as people read it. */
function notOneALine(source: string): NsbError {
  return new NsbError({
    code: 'NSB_BAD_INPUT',
    message: `The messages in '${source}' are spread over several lines each; import needs one message a line. Nothing was imported.`,
    suggestions: [`jq -c . ${source === '-' ? '' : '<file> '}| nsb errors import - --yes`, `of an array: jq -c '.[]'`],
    details: { source },
  })
}

function whatToImport(): NsbError {
  return new NsbError({
    code: 'NSB_BAD_ARGUMENTS',
    message: 'What shall be imported? Neither a file nor an operation was named.',
    suggestions: ['nsb errors import <file>', 'what was archived: nsb errors import --operation <id>'],
  })
}

function nothingToImport(source: string, operation: string | undefined): NsbError {
  return new NsbError({
    code: 'NSB_NOTHING_MATCHED',
    message: `There is no message${operation === undefined ? '' : ` of operation ${operation}`} in '${source}'.`,
    suggestions: ['nsb errors export > failed.ndjson'],
  })
}
