import { setFlagsFromString } from 'node:v8'
import { Flags } from '@oclif/core'
import type { InferredFlags } from '@oclif/core/interfaces'
import { ErrorsCommand, maxHoldFlag, refreshFlag, shortId } from '../../src/cli/errors/errors-command.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { relativeTime } from '../../src/cli/relative-time.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import type { Column } from '../../src/cli/table.ts'
import { groupFailed } from '../../src/toolkit/errors/browse.ts'
import { groupFields, isoTime } from '../../src/toolkit/errors/documents.ts'
import { type Classifier, type Group, classifierNames, mergedGroups } from '../../src/toolkit/errors/group.ts'

export default class ErrorsGroups extends ErrorsCommand {
  static override summary = 'failed messages by group, the largest first'
  static override description =
    `Puts failures into the groups ServicePulse shows, with the same ids and titles: by exception and innermost frame, or by type, endpoint, queue or instance.

Exit codes: 0 done, also when the queue is empty; 2 usage; 5 the transport cannot be reached.`
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
    // Otherwise V8 may come to make every further message in the old generation, because those of a page outlive a young collection when
    // these are frequent: 100,000 messages then take 180 MiB instead of 135, in one run of four (bench/error-folder.mjs).
    setFlagsFromString('--no-allocation-site-pretenuring')
    const criteria = await this.criteria(flags)
    const queues = await this.errorQueues()
    const transport = await this.openTransport()
    const by = flags.by as Classifier
    const now = Date.now()

    let groups: readonly Group[] = []
    const sums = { total: 0, ungrouped: 0, poison: 0, newerArrivals: 0 }
    for (const queue of queues) {
      const found = await groupFailed(transport, { ...this.browseOptions(queue, criteria, flags['max-hold'], !flags.refresh), by })
      await this.noteFacts(queue, found, flags['max-hold'])
      groups = mergedGroups([...groups, ...found.groups])
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += found[name]
      const facts = found.facts
      if (facts !== undefined && facts.depth > 0 && flags.output !== 'ids') {
        const oldest = found.oldest === undefined ? '' : `, oldest ${relativeTime(found.oldest, now)}`
        const { profile, transport: kind } = await this.connection()
        this.note(
          this.colour.err.dim(
            `${queue} on ${profile.value} (${[kind.value, ...(facts.kind === 'folder' ? [] : [facts.kind])].join(', ')}, ${facts.depth} message${facts.depth > 1 ? 's' : ''}${oldest})`,
          ),
        )
      }
    }
    const shown = flags.top === undefined ? groups : groups.slice(0, flags.top)
    const summary = { profile: await this.profileName(), ...this.queueFields(queues), by, ...sums }
    await this.list(shown, columns(now), flags, { id: (group) => group.id, fields: groupFields, summary })
    this.#hints(shown, groups.length, sums)
    return { schema: 'nsb.errors.groups/1', ...summary, items: shown.map(groupFields) }
  }

  #hints(
    shown: readonly Group[],
    all: number,
    { total, ungrouped, poison, newerArrivals }: { total: number; ungrouped: number; poison: number; newerArrivals: number },
  ): void {
    if (total === 0 && poison === 0) this.note('the error queue is empty')
    if (shown.length < all) this.note(`${all - shown.length} more groups (--top)`)
    if (ungrouped > 0) this.note(`${ungrouped} in no group`)
    if (poison > 0) this.note(`${poison} poison message${poison > 1 ? 's' : ''}: nsb errors list --kind poison`)
    if (newerArrivals > 0) this.note(`${newerArrivals} newer message${newerArrivals > 1 ? 's' : ''} arrived meanwhile`)
    const first = shown[0]
    if (first !== undefined) this.next(...this.nextCommands(shortId(first.id)))
  }

  /** What somebody wants to do with the largest group. */
  protected nextCommands(group: string): readonly string[] {
    return [`nsb errors list --group ${group}`, `nsb errors replay --group ${group} --limit 1 --wait`]
  }
}

function columns(now: number): readonly Column<Group>[] {
  return [
    { name: 'group', value: (group) => group.id, short: (group) => shortId(group.id) },
    { name: 'count', value: (group) => group.count, align: 'right' },
    { name: 'first', value: (group) => isoTime(group.first), short: (group) => relativeTime(group.first, now), wide: true },
    { name: 'last', value: (group) => isoTime(group.last), short: (group) => relativeTime(group.last, now) },
    { name: 'endpoints', value: (group) => group.endpoints.join(', ') || undefined },
    { name: 'types', value: (group) => group.types.join(', ') || undefined, wide: true },
    { name: 'title', value: (group) => group.title },
  ]
}
