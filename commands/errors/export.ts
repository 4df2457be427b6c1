import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Flags } from '@oclif/core'
import { ArchiveCommand, type TakingChoice, idsArgument, takingFlags } from '../../src/cli/errors/archive-command.ts'
import { archiveExitCode, archiveSummary, exportDocument } from '../../src/cli/errors/archive-report.ts'
import { nothingMatched } from '../../src/cli/errors/errors-command.ts'
import { LineOutput } from '../../src/cli/line-output.ts'
import { printableJson, printableLine } from '../../src/cli/printable.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { savedLine } from '../../src/message/saved-message.ts'
import { type ArchiveReport, exportSelected } from '../../src/toolkit/errors/archive/archive.ts'
import { ArchiveFile, fileExists } from '../../src/toolkit/errors/archive/archive-file.ts'
import { type SelectionOptions, select } from '../../src/toolkit/errors/archive/selection.ts'
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import { hasCriteria } from '../../src/toolkit/errors/select/select.ts'
import type { HeldMessage, Transport } from '../../src/transport/transport.ts'

export default class ErrorsExport extends ArchiveCommand {
  static override summary = 'write failed messages as NDJSON, whole'
  static override description =
    `Prints one line of JSON for each selected message, or writes them to --file, which nobody else may read; every failure when nothing is
selected. The messages stay in the error queue. --remove takes those out of it that are safe in the file: written, and read again.
errors import reads the lines. Binary bodies are base64, and header values keep their AMQP types: {"!":"long","v":5}. Where headers
and properties do not tell every byte, "wire" has them all; it counts until one of the others is changed.

On RabbitMQ the messages are held until the last one is written, --max-hold at most. errors export --all --remove holds few at a time.

Exit codes: 0 all done; 2 usage; 3 some were not removed; 4 nothing matched; 5 the file cannot be written, or the transport cannot be reached; 6 not confirmed, or refused by a safety rule.`
  static override examples = [
    '<%= config.bin %> errors export --type FailingOrder > failed.ndjson',
    '<%= config.bin %> errors export acc35ddb --file one.ndjson',
    '<%= config.bin %> errors export --all --remove --file failed.ndjson --yes',
    '<%= config.bin %> errors export --no-body | head -1',
  ]
  static override args = idsArgument
  static override flags = {
    ...takingFlags,
    all: Flags.boolean({ helpGroup: 'SELECT', summary: 'every failure; needed to remove without any criterion' }),
    file: Flags.string({
      helpValue: '<file>',
      helpGroup: 'ACT',
      summary: 'write to this file; one that exists is replaced with --force only',
    }),
    remove: Flags.boolean({
      helpGroup: 'ACT',
      summary: 'remove from the error queue what is safe in the file',
      dependsOn: ['file'],
      exclusive: ['no-body'],
    }),
    'no-body': Flags.boolean({ helpGroup: 'ACT', summary: 'leave the bodies out; such lines cannot be imported' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsExport)
    const queue = await this.errorQueue()
    const criteria = await this.criteria(flags, args.ids ?? [])
    if (flags.remove && !flags.all && !flags.duplicates && !hasCriteria(criteria)) throw nothingSelected()
    const path = flags.file === undefined ? undefined : resolve(flags.file)
    if (path !== undefined && existsSync(path) && this.globals.force !== true) throw fileExists(path)
    const options = this.selectionOptions(queue, criteria, flags satisfies TakingChoice)
    this.boundMemory()
    const transport = await this.openTransport()

    const operation = newOperationId(options.now)
    const withoutBody = flags['no-body']
    const report = flags.remove
      ? await this.#move(transport, options, operation, path as string)
      : await this.#copy(transport, options, operation, path, withoutBody)
    const outcome = { profile: await this.profileName(), queue, file: path, report }
    const summary = archiveSummary(flags.remove ? 'exported and removed' : 'exported', report, flags.remove ? operation : undefined)
    if (path !== undefined) {
      this.note(`in ${printableLine(path)}`)
      this.out(summary)
    } else if (!this.isOutputGone) this.note(summary)
    this.finish(archiveExitCode(report))
    const document = exportDocument(outcome, flags.remove)
    if (path !== undefined) return document
    const { items: _, schema: __, ...counts } = document as { items: unknown; schema: string }
    return { schema: 'nsb.summary/1', ...counts }
  }

  /** After lines of NDJSON comes one more, which import passes over. */
  override logJson(document: unknown): void {
    if ((document as { schema?: unknown }).schema === 'nsb.summary/1') process.stdout.write(`${printableJson(JSON.stringify(document))}\n`)
    else super.logJson(document)
  }

  #move(transport: Transport, options: SelectionOptions, operation: string, path: string): Promise<ArchiveReport> {
    return this.remove(transport, options, {
      command: 'export',
      operation,
      result: 'exported',
      file: () => ArchiveFile.open(path, { existing: this.#existing }),
      path,
      question: (messages) => `Move ${messages} of '${printableLine(options.queue)}' to '${printableLine(path)}'?`,
      mustType: false,
    })
  }

  async #copy(
    transport: Transport,
    options: SelectionOptions,
    operation: string,
    path: string | undefined,
    withoutBody: boolean,
  ): Promise<ArchiveReport> {
    const { queue } = options
    const selection = await select(transport, options, {
      purpose: 'look',
      mustCount: false,
      streams: false,
      beforeRemove: () => undefined,
    }).catch((error: unknown) => {
      throw withoutHolding(error)
    })
    this.atEnd(async () => void (await selection.release()))
    const facts = { queue, exportedAt: options.now, withoutBody }
    const out = new LineOutput(this.signal)
    const safe = process.stdout.isTTY ? printableJson : (lines: string): string => lines
    let file: ArchiveFile | undefined
    const write = async (messages: readonly HeldMessage[]): Promise<void> => {
      if (path === undefined) return out.write(safe(messages.map((message) => `${savedLine(message, facts)}\n`).join('')))
      file ??= await ArchiveFile.open(path, { existing: this.#existing })
      await file.add(messages, facts)
    }
    try {
      const most = selection.count ?? Math.min(selection.facts.depth, options.limit ?? selection.facts.depth)
      const report = await exportSelected(
        transport,
        selection,
        this.runOf(operation, queue, 'exported', path === undefined ? Infinity : most),
        write,
      )
      if (report.selected === 0 && !this.signal.aborted) throw nothingMatched(queue, options.criteria)
      this.showProblems(report, undefined, options.queue)
      this.noteLeftOut(report, false)
      return report
    } finally {
      await file?.close()
    }
  }

  get #existing(): 'refuse' | 'replace' {
    return this.globals.force === true ? 'replace' : 'refuse'
  }
}

/** What to do instead of holding so many. */
function withoutHolding(error: unknown): unknown {
  if (!(error instanceof NsbError) || error.code !== 'NSB_HOLD_TOO_SMALL') return error
  const { depth } = error.details as { readonly depth: number }
  return new NsbError({
    code: 'NSB_HOLD_TOO_SMALL',
    message: error.message,
    suggestions: [
      `Hold them all: --max-hold ${depth}`,
      'Take them out of the queue, with few of them held at a time: nsb errors export --all --remove --file <file>',
      'Or read the oldest, and let the rest change its place: --force',
    ],
    details: error.details,
  })
}

function nothingSelected(): NsbError {
  return new NsbError({
    code: 'NSB_NO_SELECTION',
    message: 'Which messages? Nothing was selected.',
    suggestions: ['nsb errors export <id> --remove --file <file>', 'everything: nsb errors export --all --remove --file <file>'],
  })
}
