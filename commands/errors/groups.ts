import { Flags } from '@oclif/core'
import type { InferredFlags } from '@oclif/core/interfaces'
import { boundMemory } from '../../src/cli/bounded-memory.ts'
import { ErrorsCommand, maxHoldFlag, refreshFlag, shortId } from '../../src/cli/errors/errors-command.ts'
import { addedOthers, otherKindFields, otherKindsInWords, whyNothing } from '../../src/cli/errors/other-kinds.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { sortedRows } from '../../src/cli/listing.ts'
import { relativeTime } from '../../src/cli/relative-time.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import type { Column } from '../../src/cli/table.ts'
import { groupFailed } from '../../src/toolkit/errors/browse/browse.ts'
import { type Browsed, noOthers } from '../../src/toolkit/errors/browse/browsed.ts'
import { groupFields, isoTime, lookFields } from '../../src/toolkit/errors/documents.ts'
import { type Classifier, type Group, classifierNames, mergedGroups } from '../../src/toolkit/errors/select/group.ts'
import { hasCriteria } from '../../src/toolkit/errors/select/select.ts'

export default class ErrorsGroups extends ErrorsCommand {
  static override summary = 'failed messages by group, the largest first'
  static override description =
    `Puts failures into the groups ServicePulse shows, with the same ids and titles: by exception and innermost frame, or by type, endpoint, queue or instance.

What is in no group, and entries of other kinds, are counted below the groups.

Exit codes: 0 done, also when the queue is empty; 2 usage; 4 a group is unknown, or the error queue does not exist, which is not an empty one; 5 the transport cannot be reached.`
  static override examples = [
    '<%= config.bin %> errors groups',
    '<%= config.bin %> errors groups --by type --since 1d',
    '<%= config.bin %> errors groups --top 5 --json',
  ]
  static override flags = {
    ...selectionFlags,
    ...listingFlags,
    by: Flags.string({ options: classifierNames, default: 'exception', helpGroup: 'OUTPUT', summary: 'what makes a group' }),
    top: Flags.integer({ min: 1, helpValue: '<n>', helpGroup: 'OUTPUT', summary: 'only the largest groups' }),
    refresh: refreshFlag,
    'max-hold': maxHoldFlag,
  }

  async run(): Promise<unknown> {
    return this.showGroups((await this.parse(ErrorsGroups)).flags)
  }

  protected async showGroups(flags: InferredFlags<typeof ErrorsGroups.flags>): Promise<unknown> {
    const release = boundMemory()
    this.atEnd(async () => release())
    const criteria = await this.criteria(flags)
    const queues = await this.errorQueues()
    const transport = await this.openTransport()
    const by = flags.by as Classifier
    const now = Date.now()

    const found: { readonly queue: string; readonly groups: readonly Group[] }[] = []
    const looks: Browsed[] = []
    const sums = { total: 0, ungrouped: 0, newerArrivals: 0 }
    let others = noOthers
    for (const queue of queues) {
      await this.noteOpenOperations(queue)
      const browsing = this.browseOptions(queue, criteria, flags['max-hold'], !flags.refresh)
      const grouped = await groupFailed(transport, { ...this.besideLeftovers(transport, browsing), by })
      this.noteFacts(queue, grouped, flags['max-hold'])
      looks.push(grouped)
      if (!grouped.cached) await this.noteLeftovers(transport)
      found.push({ queue, groups: grouped.groups })
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += grouped[name]
      others = addedOthers(others, grouped)
      const facts = grouped.facts
      if (facts.depth > 0 && flags.output !== 'ids') {
        const oldest = grouped.oldest === undefined ? '' : `, oldest ${relativeTime(grouped.oldest, now)}`
        const { profile, transport: kind } = await this.connection()
        this.note(
          this.colour.err.dim(
            `${queue} on ${profile.value} (${[kind.value, ...(facts.kind === 'folder' ? [] : [facts.kind])].join(', ')}, ${facts.depth} message${facts.depth > 1 ? 's' : ''}${oldest})`,
          ),
        )
      }
    }
    const groups = mergedGroups(found.flatMap((each) => each.groups))
    const shown = flags.top === undefined ? groups : groups.slice(0, flags.top)
    if (sums.total === 0) this.checkGroup(queues, criteria)
    const { newerArrivals, total, ungrouped } = sums
    const summary = {
      profile: await this.profileName(),
      ...this.queueFields(queues),
      by,
      total,
      ungrouped,
      ...otherKindFields(others),
      newerArrivals,
      ...lookFields(looks),
    }
    // In a table they are lines of their own; whoever reads another form has the fields or the notes.
    const inTable = flags.output === undefined || flags.output === 'table' || flags.output === 'wide'
    const beside = [
      ...(ungrouped > 0 ? [{ count: ungrouped, text: `${ungrouped} in no group` }] : []),
      ...(flags.kind === undefined ? otherKindsInWords(others, total === 0 && !hasCriteria(criteria), (text) => this.placed(text)) : []),
    ]
    const rows: readonly Row[] = inTable && !this.jsonEnabled() && flags.sort === undefined ? [...shown, ...beside] : shown
    await this.list(rows, columns(now), flags, {
      id: (row) => ('id' in row ? row.id : ''),
      fields: (row) => ('id' in row ? groupFields(row) : row),
      summary,
    })
    this.#hints(shown, {
      more: groups.length - shown.length,
      beside,
      nothing: total === 0 && beside.length === 0 ? whyNothing(looks, flags.kind) : undefined,
      areRows: rows !== shown,
      newerArrivals,
      kinds: (flags.kind ?? []).map((kind) => ` --kind ${kind}`).join(''),
      errorQueue: queueOf(shown[0], found),
    })
    return { schema: 'nsb.errors.groups/1', ...summary, items: sortedRows(shown, columns(now), flags.sort).map(groupFields) }
  }

  #hints(shown: readonly Group[], { areRows, beside, errorQueue, kinds, more, newerArrivals, nothing }: Found): void {
    if (nothing !== undefined) this.note(nothing)
    if (more > 0) this.note(`${more} more groups (--top)`)
    if (!areRows) for (const { text } of beside) this.note(text)
    if (newerArrivals > 0) this.note(`${newerArrivals} newer message${newerArrivals > 1 ? 's' : ''} arrived meanwhile`)
    const [first] = shown
    if (first !== undefined) this.next(...this.nextCommands(`${shortId(first.id)}${kinds}`).map((command) => ({ command, errorQueue })))
  }

  /** What somebody wants to do with the largest group. @param group its id, with the kinds it is of where they were chosen */
  protected nextCommands(group: string): readonly string[] {
    return [`nsb errors list --group ${group}`, `nsb errors replay --group ${group} --limit 1 --wait`]
  }
}

/** What is in none of the groups, in words. */
interface Beside {
  readonly count: number
  readonly text: string
}

type Row = Group | Beside

/** What the hints are about. */
interface Found {
  readonly more: number
  readonly beside: readonly Beside[]
  /** What is said where there is nothing. */
  readonly nothing: string | undefined
  /** They were shown in the table. */
  readonly areRows: boolean
  readonly newerArrivals: number
  /** As they were chosen. */
  readonly kinds: string
  /** Where most of the first group lies. */
  readonly errorQueue: string
}

/** Where most of a group lies: what is done with it is done in one queue. */
function queueOf(group: Group | undefined, found: readonly { readonly queue: string; readonly groups: readonly Group[] }[]): string {
  const counts = found.map(({ groups, queue }) => ({ queue, count: groups.find(({ id }) => id === group?.id)?.count ?? 0 }))
  return counts.toSorted((a, b) => b.count - a.count)[0]?.queue ?? ''
}

function columns(now: number): readonly Column<Row>[] {
  const ofGroup =
    <Value>(value: (group: Group) => Value, otherwise: Value) =>
    (row: Row): Value =>
      'id' in row ? value(row) : otherwise
  return [
    { name: 'group', value: ofGroup<string>((group) => group.id, ''), short: ofGroup<string>((group) => shortId(group.id), '') },
    // The digits are below those of the groups.
    { name: 'count', value: (row) => ('id' in row ? row.count : `+${String(row.count).padStart(4)}`), align: 'right' },
    timeColumn('first', true),
    timeColumn('last', false),
    { name: 'endpoints', value: ofGroup<string | undefined>((group) => group.endpoints.join(', ') || undefined, undefined) },
    { name: 'types', value: ofGroup<string | undefined>((group) => group.types.join(', ') || undefined, undefined), wide: true },
    { name: 'title', value: (row) => ('id' in row ? row.title : `(${row.text})`) },
  ]

  function timeColumn(name: 'first' | 'last', wide: boolean): Column<Row> {
    return {
      name,
      value: ofGroup<string | undefined>((group) => isoTime(group[name]), '–'),
      short: ofGroup((group) => relativeTime(group[name], now), '–'),
      absent: '?',
      wide,
    }
  }
}
