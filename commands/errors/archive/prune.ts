import { ErrorsCommand } from '../../../src/cli/errors/errors-command.ts'
import { Exit } from '../../../src/cli/exit-codes.ts'
import { durationFlag } from '../../../src/cli/global-flags.ts'
import { printableLine } from '../../../src/cli/printable.ts'
import { NsbError } from '../../../src/message/nsb-error.ts'
import { archiveName } from '../../../src/toolkit/errors/archive/archive-folder.ts'
import { identityOf } from '../../../src/toolkit/open-connection.ts'
import { type OldArchive, oldArchives, removeArchives } from '../../../src/toolkit/errors/archive/prune.ts'
import { stateFolder } from '../../../src/toolkit/state-folder.ts'

const mostShown = 20

export default class ErrorsArchivePrune extends ErrorsCommand {
  static override summary = 'remove old files of the archive'
  static override description =
    `Removes the files of days that ended longer ago than --older-than, and that nobody has written to since: one that was copied back or
changed yesterday stays. Of all queues of the connection, or of those of --error-queue; files that an older nsb has kept for the profile are
among them, of whatever connection they are. The day is that of UTC, and a file goes as a whole.
Files that were named with --to-file are left alone. The messages are nowhere then.

Exit codes: 0 all done; 2 usage; 3 some files could not be removed; 4 no file is that old; 5 the archive cannot be read; 6 not confirmed.`
  static override examples = [
    '<%= config.bin %> errors archive prune --older-than 30d',
    '<%= config.bin %> errors archive prune --older-than 30d --yes --json',
    '<%= config.bin %> errors archive prune --older-than 5d --error-queue error',
  ]
  static override flags = {
    'older-than': durationFlag({ required: true, helpGroup: 'ACT', summary: 'age of what goes, such as 30d' }),
  }

  async run(): Promise<unknown> {
    const { flags } = await this.parse(ErrorsArchivePrune)
    const before = Date.now() - flags['older-than']
    const profile = await this.profileName()
    const queues = this.globals['error-queue'] === undefined ? undefined : await this.errorQueues()
    const folder = stateFolder(process.env)
    const identity = await identityOf(await this.connection(), await this.project(), (text) => this.warning(text))
    // Before connections were told apart, an archive was called like its profile.
    const archives = [archiveName(profile, identity), profile]
    const old = (await Promise.all(archives.map((archive) => oldArchives(folder, archive, queues, before)))).flat()
    if (old.length === 0) throw nothingOld(before)
    for (const { messages, path } of old.slice(0, mostShown)) this.note(`  ${printableLine(path)}  ${countOf(messages, 'message')}`)
    if (old.length > mostShown) this.note(`  and ${old.length - mostShown} more`)
    const all = messagesIn(old)
    await this.confirm(`Remove ${countOf(old.length, 'file')} with ${countOf(all, 'message')} for good?`, {
      typed: all > 100 ? String(all) : undefined,
    })

    const { failed, removed } = await removeArchives(old, before)
    for (const { error, path } of failed) this.warning(`${path} was not removed: ${error.message}`)
    this.out(
      `removed ${countOf(removed.length, 'file')}, ${countOf(messagesIn(removed), 'message')}${failed.length > 0 ? `, failed ${failed.length}` : ''}`,
    )
    this.finish(failed.length > 0 ? Exit.partly : Exit.done)
    return {
      schema: 'nsb.errors.prune/1',
      profile,
      before: new Date(before).toISOString(),
      selected: old.length,
      removed: removed.length,
      failed: failed.length,
      messages: messagesIn(removed),
      items: [...removed.map((each) => ({ ...each, result: 'removed' })), ...failed.map((each) => ({ ...each, result: 'failed' }))],
    }
  }
}

const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
const messagesIn = (archives: readonly OldArchive[]): number => archives.reduce((sum, { messages }) => sum + messages, 0)

function nothingOld(before: number): NsbError {
  return new NsbError({
    code: 'NSB_NOTHING_MATCHED',
    message: `No file of the archive is of a day before ${new Date(before).toISOString()}, with nothing written to it since.`,
    suggestions: ['A shorter --older-than finds more'],
  })
}
