import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type Grouped, type ListedFailure, groupFailed, listFailed, showFailed } from '../../toolkit/errors/browse/browse.ts'
import type { BrowseOptions } from '../../toolkit/errors/browse/browsed.ts'
import { isEnough, rememberFailed } from '../../toolkit/errors/browse/kept-look.ts'
import { exceptionText } from '../../toolkit/errors/replay/exception-text.ts'
import type { Classifier, Group } from '../../toolkit/errors/select/group.ts'
import { type ReplayOptions, type ReplayPlan, planReplay } from '../../toolkit/errors/replay/plan.ts'
import type { JournalPlace } from '../../toolkit/errors/replay/replay-record.ts'
import { type Criteria, hasCriteria } from '../../toolkit/errors/select/select.ts'
import type { Transport } from '../../transport/transport.ts'
import { type Choice, type Confirmation, choose } from '../ask.ts'
import type { Colours } from '../colour.ts'
import { printableLine } from '../printable.ts'
import { relativeTime } from '../relative-time.ts'
import { archiveInDialogue } from './dialogue-archive.ts'
import { replayInDialogue } from './dialogue-replay.ts'
import { shortId } from './errors-command.ts'
import { ageText, costText } from './kept-text.ts'
import { otherKindsInWords } from './other-kinds.ts'
import { targetLines } from './replay-report.ts'
import { rememberedText, showText } from './show-text.ts'

/** What the dialogue does with messages, and what it shares with the commands. */
export interface DialogueParts {
  readonly transport: Transport
  readonly queue: string
  /** Which messages the dialogue is about; a group is chosen of them. */
  readonly criteria: Criteria
  readonly by: Classifier
  readonly signal: AbortSignal
  readonly colours: { readonly out: Colours; readonly err: Colours }
  /** @param cached what was seen in the last 10 minutes will do */
  readonly browse: (criteria: Criteria, cached: boolean) => BrowseOptions
  readonly replayOptions: (criteria: Criteria, limit: number | undefined) => ReplayOptions
  readonly journalPlace: () => Promise<JournalPlace>
  /** What was seen of the queue does not hold any more from now on. */
  readonly beforeChange: () => Promise<void>
  /** A command line as it is to be typed. */
  readonly placed: (command: string) => string
  readonly confirm: (question: string, confirmation: Confirmation) => Promise<void>
  /** A result. */
  readonly out: (text: string) => void
  readonly note: (text: string) => void
  readonly warning: (text: string) => void
}

const samples = 10
const mostWithoutTyping = 100

type Next = 'groups' | 'quit'

/**
 * Leads through the error queue: choose a group, look at samples, see what a replay would do, replay one and wait for its outcome, then
 * the rest, or archive it. Messages are held only while something is done with them, never while a person thinks.
 *
 * @throws {NsbError} NSB_INTERRUPTED on Ctrl-C, and those of looking and replaying
 */
export async function talkAboutErrors(parts: DialogueParts): Promise<void> {
  let cached = true
  for (;;) {
    const found = await groupFailed(parts.transport, { ...parts.browse(parts.criteria, cached), by: parts.by })
    noteFound(parts, found)
    if (found.groups.length === 0) {
      // What has come since may be a failure.
      if (found.changedBy === 0) return
      cached = false
      continue
    }
    const chosen = await chooseGroup(parts, found)
    if (chosen === 'quit') return
    cached = chosen !== 'again'
    if (chosen !== 'again' && (await talkAboutGroup(parts, chosen)) === 'quit') return
  }
}

function noteFound({ criteria, note, placed, queue }: DialogueParts, found: Grouped): void {
  const { cached, groups, total, ungrouped } = found
  const name = `'${printableLine(queue)}'`
  const age = cached ? `, as it was ${ageText(found, Date.now())}` : ''
  note(
    groups.length === 0 ? `no failures in ${name}${age}` : `${name}: ${messages(total)} in ${groups.length} group${s(groups.length)}${age}`,
  )
  if (ungrouped > 0) note(`${ungrouped} in no group`)
  for (const { text } of otherKindsInWords(found, groups.length === 0 && !hasCriteria(criteria), placed)) note(text)
}

function chooseGroup({ signal }: DialogueParts, { cached, groups }: Grouped): Promise<Group | 'again' | 'quit'> {
  const now = Date.now()
  const width = String(groups[0]?.count ?? 0).length
  const choices: Choice<Group | 'again' | 'quit'>[] = groups.map((group) => {
    const about = [relativeTime(group.last, now), group.endpoints.join(', ')].filter((part) => part !== '').join(', ')
    return { name: printableLine(`${String(group.count).padStart(width)}  ${group.title}  (${about})`), value: group }
  })
  if (cached) choices.push({ name: 'read the queue again', value: 'again' })
  return choose('Which group?', [...choices, { name: 'quit', value: 'quit' }], signal)
}

const goesOnAfter: ReadonlySet<string> = new Set(['NSB_NOT_CONFIRMED', 'NSB_NOTHING_MATCHED', 'NSB_MESSAGE_NOT_FOUND'])

type Action = 'look' | 'dryRun' | 'one' | 'rest' | 'archive' | Next

async function talkAboutGroup(parts: DialogueParts, group: Group): Promise<Next> {
  const criteria = { ...parts.criteria, group: [group.id] }
  let left = group.count
  for (;;) {
    const choices: Choice<Action>[] = [
      { name: 'look at samples', value: 'look' },
      { name: 'dry run: where would they go?', value: 'dryRun' },
      ...(left > 1 ? [{ name: 'replay the oldest one, and wait for its outcome', value: 'one' } as const] : []),
      { name: left > 1 ? `replay all ${left}` : 'replay it, and wait for its outcome', value: 'rest' },
      { name: left > 1 ? `archive all ${left}: move them out of the queue into a file` : 'archive it', value: 'archive' },
      { name: 'back to the groups', value: 'groups' },
      { name: 'quit', value: 'quit' },
    ]
    const action = await choose(printableLine(`${messages(left)}: ${group.title}`), choices, parts.signal)
    if (action === 'groups' || action === 'quit') return action
    try {
      if (action === 'look') await lookAtSamples(parts, criteria)
      else if (action === 'dryRun') await dryRun(parts, criteria)
      else if (action === 'archive') left -= await archive(parts, criteria, left)
      else left -= await replay(parts, criteria, action === 'one' ? 1 : left)
    } catch (error) {
      // Somebody else has taken them, or the person thought better of it.
      if (!(error instanceof NsbError && goesOnAfter.has(error.code))) throw error
      parts.note(errorText(error))
      if (error.code !== 'NSB_NOT_CONFIRMED') return 'groups'
    }
    if (left <= 0) return 'groups'
  }
}

async function lookAtSamples(parts: DialogueParts, criteria: Criteria): Promise<void> {
  const { browse, signal, transport } = parts
  const { items } = await listFailed(transport, { ...browse(criteria, true), limit: samples, exact: false })
  const now = Date.now()
  const rows: Choice<ListedFailure | 'back'>[] = items.map((item) => ({ name: sampleLine(item, now), value: item }))
  if (rows.length === 0) return parts.note('there are none any more')
  for (;;) {
    const chosen = await choose('Which one?', [...rows, { name: 'back', value: 'back' }], signal)
    if (chosen === 'back') return
    await showSample(parts, chosen.failed.uniqueId)
  }
}

function sampleLine({ failed }: ListedFailure, now: number): string {
  const { exceptionMessage, exceptionType, failedAt, replayed, uniqueId } = failed
  const before = replayed === 0 ? '' : `  replayed ${replayed}×`
  return printableLine(
    `${shortId(uniqueId)}  ${relativeTime(failedAt, now)}${before}  ${(exceptionText(exceptionType, exceptionMessage) ?? '').split('\n', 1)[0]}`,
  )
}

async function showSample({ browse, colours, out, signal, transport }: DialogueParts, id: string): Promise<void> {
  const options = browse({ ids: [id] }, true)
  const remembered = await rememberFailed(transport, options, id)
  if (remembered !== undefined && isEnough(remembered)) {
    out(rememberedText(remembered, colours.out))
    if (remembered.message.keptBody !== undefined) return
    const wholly = [
      { name: 'back', value: false },
      { name: `read the queue for its body, ${costText(remembered.facts)}`, value: true },
    ]
    if (!(await choose('Is that enough?', wholly, signal))) return
  }
  out(showText(await showFailed(transport, options, id), { stack: false, headers: false }, colours.out))
}

async function dryRun(parts: DialogueParts, criteria: Criteria): Promise<void> {
  const plan: ReplayPlan = await planReplay(parts.transport, parts.replayOptions(criteria, undefined))
  parts.note(`${messages(plan.selected)} would be sent, oldest first`)
  for (const line of targetLines(plan.targets)) parts.note(`  ${line}`)
  if (plan.duplicates > 0) parts.warning(`${plan.duplicates} duplicate${s(plan.duplicates)} of other entries would stay in the error queue`)
  if (plan.wishes > 0) parts.warning(`${plan.wishes} go where their ServiceControl.RetryTo header says, not where they failed`)
  if (plan.facts.kind === 'quorum') parts.note('the queue counts it as one delivery of each message')
}

/** What is typed to confirm so many. */
const typedFor = (count: number): string | undefined => (count > mostWithoutTyping ? String(count) : undefined)

function archive(parts: DialogueParts, criteria: Criteria, count: number): Promise<number> {
  return archiveInDialogue(parts, { ...parts.replayOptions(criteria, count), duplicates: false }, typedFor(count))
}

function replay(parts: DialogueParts, criteria: Criteria, count: number): Promise<number> {
  return replayInDialogue(parts, parts.replayOptions(criteria, count), typedFor(count))
}

const s = (count: number): string => (count === 1 ? '' : 's')
const messages = (count: number): string => `${count} message${s(count)}`
