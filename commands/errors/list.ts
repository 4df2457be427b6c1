import { Args, Flags } from '@oclif/core'
import { boundMemory } from '../../src/cli/bounded-memory.ts'
import { ErrorsCommand, maxHoldFlag, pastedId, refreshFlag } from '../../src/cli/errors/errors-command.ts'
import { type ListedRow, listColumns } from '../../src/cli/errors/list-columns.ts'
import { addedOthers, otherKindsInWords, whyNothing } from '../../src/cli/errors/other-kinds.ts'
import { Exit } from '../../src/cli/exit-codes.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { rowOrder, sortedRows, streamedList } from '../../src/cli/listing.ts'
import { printable } from '../../src/cli/printable.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import { flagWords } from '../../src/cli/shell-word.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { byTimeDescending, listFailed } from '../../src/toolkit/errors/browse/browse.ts'
import { type Browsed, noOthers } from '../../src/toolkit/errors/browse/browsed.ts'
import { failedFields, lookFields } from '../../src/toolkit/errors/documents.ts'
import { hasCriteria } from '../../src/toolkit/errors/select/select.ts'

export default class ErrorsList extends ErrorsCommand {
  static override summary = 'list failed messages, newest first'
  static override description =
    `Looks at the error queue and leaves every message where it is. Only failures are listed; --kind shows what else lies there: poison messages, faults of MassTransit, dead letters, acknowledgements.

On RabbitMQ a look is a delivery of every message. What it saw is kept for 10 minutes, in a file of your own, for groups, show and list
--cached, which then ask the queue for nothing but its depth. Where that has changed they read the queue; where the broker counts looks they
say by how much. With --fail-if-any it is read whenever it has changed. asOf and cached say of which moment a document is.

With --sort the first --limit of all that match are shown, in that order; otherwise the newest. --page 2 shows those after them, and so on, as
long as nothing comes or goes meanwhile; on RabbitMQ --cached keeps it so, and costs no delivery.

The learning transport lists by the time of the files: without criteria and --sort only the newest entries are read, 1,000 at least, and the
older ones count as failures. There -o ids, ndjson and csv without --sort are written while the queue is read, so that any --limit needs
little memory; in every other case what is shown is held in memory, about 1 KiB for each of --limit. Of a page that is not the first, what
comes before it is held as well with --sort and on RabbitMQ.

--body takes a JSONPath (RFC 9535) and reads the bodies. Numbers are compared as numbers: '$[?$.Total == 10]' finds 10.0.

Exit codes: 0 done, also when the queue is empty; 2 usage; 4 an id or a group is unknown, or the error queue does not exist, which is not an empty one; 5 the transport cannot be reached; 8 with --fail-if-any, when something matched.`
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
    page: Flags.integer({ min: 1, helpValue: '<n>', helpGroup: 'OUTPUT', summary: 'which --limit of them: 2 are those after the first' }),
    count: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'only how many', exclusive: ['page'] }),
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
    const { args, flags, metadata } = await this.parse(ErrorsList)
    const { limit, page = 1 } = flags
    if (limit === 0 && flags.page !== undefined) throw noPages(page)
    const skip = (page - 1) * limit
    const release = boundMemory()
    this.atEnd(async () => release())
    const criteria = await this.criteria(flags, args.ids ?? [])
    const queues = await this.errorQueues()
    const transport = await this.openTransport()
    const now = Date.now()
    // That nothing is there is only said of what is known to be so now.
    const cached = flags.cached && flags['fail-if-any'] ? 'ifSame' : flags.cached

    const fields = (row: ListedRow): object => ({
      ...failedFields(row.failed),
      ...(row.duplicate ? { duplicate: true } : {}),
      ...(queues.length > 1 ? { errorQueue: row.errorQueue } : {}),
    })
    const columns = listColumns(now, queues.length > 1)
    const order = rowOrder(columns, flags.sort)
    const as = { id: (row: ListedRow) => row.failed.uniqueId, fields }
    const isStreamed = !flags.count && queues.length === 1 && transport.can.newestFirst && criteria.ids?.length === 0
    const streamed = isStreamed
      ? streamedList(columns, flags, as, (text) => process.stdout.write(process.stdout.isTTY ? printable(text) : text))
      : undefined

    let rows: readonly ListedRow[] = []
    let others = noOthers
    let first: ListedRow | undefined
    const looks: Browsed[] = []
    let [total, newerArrivals, unread, written, duplicates] = [0, 0, 0, 0, 0]
    const write = (row: ListedRow): void => {
      first ??= row
      written++
      if (row.duplicate) duplicates++
      streamed?.row(row)
    }
    for (const queue of queues) {
      await this.noteOpenOperations(queue)
      const listed = await listFailed(transport, {
        ...this.besideLeftovers(transport, this.browseOptions(queue, criteria, flags['max-hold'], cached)),
        ...(queues.length === 1 ? { skip, limit } : { limit: skip + limit }),
        exact: flags.count,
        ...(order && { order: (a, b) => order({ ...a, errorQueue: queue }, { ...b, errorQueue: queue }) }),
        ...(streamed && { each: (item) => write({ ...item, errorQueue: queue }) }),
      })
      this.noteFacts(queue, listed, flags['max-hold'])
      looks.push(listed)
      if (!listed.cached) await this.noteLeftovers(transport)
      rows = [...rows, ...listed.items.map((item) => ({ ...item, errorQueue: queue }))]
      unread += listed.unread
      total += listed.total
      newerArrivals += listed.newerArrivals
      others = addedOthers(others, listed)
    }
    // Of several queues each gave what could be on the page.
    const sorted = sortedRows(rows.toSorted(byTimeDescending), columns, flags.sort)
    const shown = queues.length === 1 ? sorted : sorted.slice(skip, skip + limit)
    if (total === 0 && !flags.count && !flags['fail-if-any']) this.checkGroup(queues, criteria)
    const summary = {
      profile: await this.profileName(),
      ...this.queueFields(queues),
      total,
      ...(flags.page === undefined ? {} : { page }),
      newerArrivals,
      ...lookFields(looks),
    }

    if (flags.count) this.out(String(total))
    else {
      if (streamed === undefined) {
        await this.list(shown, columns, flags, { ...as, summary })
        for (const row of shown) write(row)
      } else streamed.end(summary)
      this.#hints(first, {
        total,
        after: total - skip - written,
        duplicates,
        nothing: whyNothing(looks, flags.kind),
        others:
          flags.kind === undefined ? otherKindsInWords(others, total === 0 && !hasCriteria(criteria), (text) => this.placed(text)) : [],
        newerArrivals,
        unread,
        nextPage:
          (args.ids ?? []).length > 0 || flags.from === '-' || limit === 0
            ? undefined
            : pageCommand({ ...flags, page: page + 1, cached: flags.cached || !transport.can.lookWithoutTrace }, metadata),
      })
    }
    // Without a choice of kinds the question is whether anything is there that somebody has to look at.
    if (flags['fail-if-any'] && total + (hasCriteria(criteria) ? 0 : others.poison + others.masstransit + others.dlx) > 0)
      this.finish(Exit.negative)
    return { schema: 'nsb.errors.list/1', ...summary, ...(flags.count ? {} : { items: shown.map(fields) }) }
  }

  #hints(first: ListedRow | undefined, { after, duplicates, newerArrivals, nextPage, nothing, others, total, unread }: Found): void {
    if (total === 0) this.note(nothing)
    else if (first === undefined && after <= 0) this.note(`there is no such page: ${total} match${total === 1 ? 'es' : ''}`)
    if (after > 0) this.note(`${after} more match (--limit)`)
    if (unread > 0) this.note(`the ${unread} oldest entries were not read and count as failures; --count and every criterion read them all`)
    if (duplicates > 0)
      this.note(`${duplicates} of them ${duplicates > 1 ? 'are copies' : 'is a copy'} of a failure that is listed as well (dup)`)
    for (const { text } of others) this.note(text)
    if (newerArrivals > 0) this.note(`${newerArrivals} newer message${newerArrivals > 1 ? 's' : ''} arrived meanwhile`)
    if (first === undefined) return
    const { errorQueue, failed } = first
    const id = pastedId(failed.uniqueId)
    // What does not say where it failed is sent nowhere without being told, an acknowledgement never; only endpoints say what became of it.
    const replay =
      failed.queue === undefined || failed.kind === 'ack' ? [] : [`nsb errors replay ${id}${failed.kind === 'failure' ? ' --wait' : ''}`]
    const further = after > 0 && nextPage !== undefined ? [nextPage] : []
    this.next(...[`nsb errors show ${id}`, ...replay].map((command) => ({ command, errorQueue })), ...further)
  }
}

/** Flags that say what is shown, and how. */
const repeated: readonly string[] = [...Object.keys(selectionFlags), ...Object.keys(listingFlags), 'limit', 'page', 'max-hold', 'cached']

/** The same list with other flags. */
function pageCommand(
  flags: Readonly<Record<string, unknown>>,
  { flags: about }: { readonly flags: { readonly [name: string]: { readonly setFromDefault?: boolean | undefined } | undefined } },
): string {
  const given = repeated.filter((name) => about[name]?.setFromDefault !== true)
  return `nsb errors list${flagWords(flags, given)}`
}

function noPages(page: number): NsbError {
  return new NsbError({
    code: 'NSB_BAD_FLAG',
    message: `There is no --page ${page} of --limit 0: a page has --limit messages.`,
    suggestions: ['Choose how many a page has: --limit 50'],
  })
}

/** What the hints are about. */
interface Found {
  readonly total: number
  /** So many come after those that were shown; of a page beyond the last one 0 or less. */
  readonly after: number
  /** Shows those that come next; undefined: no command line can be shown for that. */
  readonly nextPage: string | undefined
  readonly duplicates: number
  readonly others: readonly { readonly text: string }[]
  /** What is said where there is nothing. */
  readonly nothing: string
  readonly newerArrivals: number
  readonly unread: number
}
