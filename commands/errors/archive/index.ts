import { resolve } from 'node:path'
import { Flags } from '@oclif/core'
import { ArchiveCommand, idsArgument, takingFlags } from '../../../src/cli/errors/archive-command.ts'
import { archiveDocument, archiveExitCode, archiveSummary } from '../../../src/cli/errors/archive-report.ts'
import { printableLine } from '../../../src/cli/printable.ts'
import { NsbError } from '../../../src/message/nsb-error.ts'
import { ArchiveFile } from '../../../src/toolkit/errors/archive/archive-file.ts'
import { archiveOf, archivePath } from '../../../src/toolkit/errors/archive/archive-folder.ts'
import { newOperationId } from '../../../src/toolkit/errors/operation-id.ts'
import { hasCriteria } from '../../../src/toolkit/errors/select/select.ts'

export default class ErrorsArchive extends ArchiveCommand {
  static override summary = 'move failed messages out of the error queue into a file'
  static override description =
    `Writes each selected message to a file, reads it again, and only then removes it from the error queue. Without --to-file that is a file
of the day in your state folder, one folder for each connection and queue, which nobody else may read; errors archive prune removes old ones.
errors import --operation brings the messages back.

--kind ack removes acknowledgements of replays. --no-keep deletes the messages instead: they are nowhere then.

Exit codes: 0 all done; 2 usage, or nothing selected; 3 some were not archived and are still in the queue; 4 nothing matched; 5 the file cannot be written, or the transport cannot be reached; 6 not confirmed, or refused by a safety rule.`
  static override aliases = ['errors:delete']
  static override examples = [
    '<%= config.bin %> errors archive acc35ddb --yes',
    '<%= config.bin %> errors archive --type FailingOrder --until 1m --yes',
    '<%= config.bin %> errors archive --all --to-file failed.ndjson --yes',
    '<%= config.bin %> errors archive acc35ddb --no-keep --yes --json',
  ]
  static override args = idsArgument
  static override flags = {
    ...takingFlags,
    all: Flags.boolean({ helpGroup: 'SELECT', summary: 'every failure; needed without any criterion' }),
    'to-file': Flags.string({ helpValue: '<file>', helpGroup: 'ACT', summary: 'add them to this file instead' }),
    keep: Flags.boolean({
      default: true,
      allowNo: true,
      helpGroup: 'ACT',
      summary: 'write them to a file; --no-keep deletes them',
    }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsArchive)
    const queue = await this.errorQueue()
    const criteria = await this.criteria(flags, args.ids ?? [])
    if (!flags.all && !flags.duplicates && !hasCriteria(criteria)) throw nothingSelected()
    if (!flags.keep && flags['to-file'] !== undefined)
      throw new NsbError({ code: 'NSB_BAD_FLAG', message: '--to-file and --no-keep exclude each other: what is deleted is in no file.' })
    const options = this.selectionOptions(queue, criteria, flags)
    const profile = await this.profileName()
    this.boundMemory()
    const transport = await this.openTransport()
    const place = await this.journalled()
    const own = archivePath(place.stateFolder, archiveOf(place), queue, options.now)
    const path = flags.keep ? resolve(flags['to-file'] ?? own) : undefined

    const operation = newOperationId(options.now)
    const report = await this.remove(transport, options, {
      command: 'archive',
      operation,
      result: flags.keep ? 'archived' : 'deleted',
      file: path === undefined ? undefined : () => ArchiveFile.open(path, { isOwn: flags['to-file'] === undefined }),
      path,
      question: (messages) =>
        path === undefined
          ? `Delete ${messages} of '${printableLine(queue)}' for good?`
          : `Move ${messages} of '${printableLine(queue)}' to '${printableLine(path)}'?`,
      mustType: !flags.keep,
    })
    if (path !== undefined) this.note(`in ${printableLine(path)}`)
    this.out(archiveSummary(flags.keep ? 'archived' : 'deleted', report, operation))
    this.finish(archiveExitCode(report))
    return archiveDocument({ profile, queue, file: path, report })
  }
}

function nothingSelected(): NsbError {
  return new NsbError({
    code: 'NSB_NO_SELECTION',
    message: 'Which messages? Nothing was selected.',
    suggestions: ['nsb errors archive <id>', 'nsb errors archive --group <id>', 'everything: nsb errors archive --all'],
  })
}
