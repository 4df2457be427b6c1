import { Args, Flags } from '@oclif/core'
import { ErrorsCommand, maxHoldFlag, refreshFlag, shortId } from '../../src/cli/errors/errors-command.ts'
import { type ListedRow, listColumns } from '../../src/cli/errors/list-columns.ts'
import { Exit } from '../../src/cli/exit-codes.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import { byTimeDescending, listFailed } from '../../src/toolkit/errors/browse.ts'
import { failedFields } from '../../src/toolkit/errors/documents.ts'
import { hasCriteria } from '../../src/toolkit/errors/select.ts'

export default class ErrorsList extends ErrorsCommand {
  static override summary = 'list failed messages, newest first'
  static override description =
    `Looks at the error queue and leaves every message where it is. Only failures are listed; --kind shows what else lies there.

On RabbitMQ a look is a delivery of every message. What it saw is kept for 10 minutes, without bodies and in a file of your own, for
groups, show and list --cached, which then touch nothing.

The learning transport lists by the time of the files: without criteria only the newest entries are read, 1,000 at least, and the
older ones count as failures.

Exit codes: 0 done, also when the queue is empty; 2 usage; 4 an id is unknown, or a queue that was named; 5 the transport cannot be reached; 8 with --fail-if-any, when something matched.`
  static override aliases = ['errors:ls']
  static override examples = [
    '<%= config.bin %> errors list',
    '<%= config.bin %> errors list --type PlaceOrder --since 2h --limit 20',
    "<%= config.bin %> errors list --exception '*TimeoutException' --output ids",
    '<%= config.bin %> errors list --json',
    {
      description: 'fail when anything is in the error queue, for a check after a deployment',
      command: '<%= config.bin %> errors list --fail-if-any --quiet',
    },
  ]
  static override args = { ids: Args.string({ multiple: true, ignoreStdin: true, description: 'ids, at least 4 characters of each' }) }
  static override flags = {
    ...selectionFlags,
    ...listingFlags,
    limit: Flags.integer({ default: 50, min: 0, helpValue: '<n>', helpGroup: 'OUTPUT', summary: 'messages to show' }),
    count: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'only how many' }),
    'fail-if-any': Flags.boolean({ helpGroup: 'OUTPUT', summary: 'exit 8 when something matched' }),
    cached: Flags.boolean({
      helpGroup: 'CONNECTION',
      summary: 'as the queue was when it was read in the last 10 minutes; reads it where it was not',
      exclusive: ['refresh'],
    }),
    refresh: refreshFlag,
    'max-hold': maxHoldFlag,
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsList)
    const criteria = await this.criteria(flags, args.ids ?? [])
    const queues = await this.errorQueues()
    const transport = await this.openTransport()
    const now = Date.now()

    const rows: ListedRow[] = []
    let [total, newerArrivals, poison, unread] = [0, 0, 0, 0]
    for (const queue of queues) {
      const listed = await listFailed(transport, {
        ...this.browseOptions(queue, criteria, flags['max-hold'], flags.cached),
        limit: flags.limit,
        exact: flags.count,
      })
      await this.noteFacts(queue, listed, flags['max-hold'])
      rows.push(...listed.items.map((item) => ({ ...item, errorQueue: queue })))
      unread += listed.unread
      total += listed.total
      newerArrivals += listed.newerArrivals
      poison += listed.poison
    }
    const shown = rows.toSorted(byTimeDescending).slice(0, flags.limit)
    const fields = (row: ListedRow): object => ({
      ...failedFields(row.failed),
      ...(row.duplicate ? { duplicate: true } : {}),
      ...(queues.length > 1 ? { errorQueue: row.errorQueue } : {}),
    })
    const summary = { profile: await this.profileName(), ...this.queueFields(queues), total, newerArrivals }

    if (flags.count) this.out(String(total))
    else {
      await this.list(shown, listColumns(now, queues.length > 1), flags, { id: (row) => row.failed.uniqueId, fields, summary })
      this.#hints(shown, { total, poison: flags.kind === undefined ? poison : 0, newerArrivals, unread })
    }
    // Without a choice of kinds the question is whether anything is there that somebody has to look at.
    if (flags['fail-if-any'] && total + (hasCriteria(criteria) ? 0 : poison) > 0) this.finish(Exit.negative)
    return { schema: 'nsb.errors.list/1', ...summary, ...(flags.count ? {} : { items: shown.map(fields) }) }
  }

  #hints(
    shown: readonly ListedRow[],
    { total, poison, newerArrivals, unread }: { total: number; poison: number; newerArrivals: number; unread: number },
  ): void {
    if (total === 0 && poison === 0) this.note('the error queue is empty')
    else if (total === 0) this.note('no failure matches')
    if (shown.length < total) this.note(`${total - shown.length} more match (--limit)`)
    if (unread > 0) this.note(`the ${unread} oldest entries were not read and count as failures; --count and every criterion read them all`)
    if (poison > 0) this.note(`${poison} poison message${poison > 1 ? 's' : ''}: nsb errors list --kind poison`)
    if (newerArrivals > 0) this.note(`${newerArrivals} newer message${newerArrivals > 1 ? 's' : ''} arrived meanwhile`)
    const first = shown[0]?.failed
    if (first === undefined) return
    const id = printableLine(shortId(first.uniqueId))
    // What does not say where it failed is sent nowhere without being told.
    this.next(`nsb errors show ${id}`, ...(first.queue === undefined ? [] : [`nsb errors replay ${id} --wait`]))
  }
}
