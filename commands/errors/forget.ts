import { BaseCommand } from '../../src/cli/base-command.ts'
import { removeSnapshots } from '../../src/toolkit/errors/browse/snapshot-life.ts'
import { stateFolder } from '../../src/toolkit/state-folder.ts'

export default class ErrorsForget extends BaseCommand {
  static override summary = 'remove what looks at error queues have kept on this machine'
  static override description =
    `A look at an error queue on RabbitMQ keeps for 10 minutes what it saw, in a file that only you may read, with the bodies of messages up to 64 KiB each and 32 MiB in all; "keepBodies": false in a profile leaves the bodies out. The file goes with the next command after that time. This removes all of them now; the queues are not touched, and archives and journals stay.

Exit codes: 0 nothing is kept any more; 2 usage; 5 a file cannot be removed.`
  static override examples = [
    '<%= config.bin %> errors forget',
    '<%= config.bin %> errors forget --quiet',
    '<%= config.bin %> errors forget --json',
  ]

  async run(): Promise<unknown> {
    await this.parse(ErrorsForget)
    const removed = removeSnapshots(stateFolder(process.env))
    this.note(removed === 0 ? 'nothing was kept' : `removed what ${removed} look${removed === 1 ? ' has' : 's have'} kept`)
    return { schema: 'nsb.errors.forget/1', removed }
  }
}
