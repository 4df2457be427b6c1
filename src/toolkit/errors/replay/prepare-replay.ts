import type { HeldMessage, QueueFacts, Transport } from '../../../transport/transport.ts'
import { type NotedHolding, checkHold, holdNoted } from '../hold.ts'
import { type ReplayOptions, type ReplayPlan, checkSelection, holdOptions, planHeld, planReplay } from './plan.ts'
import { type ReplayReport, type ReplayRun, replay, replayAsTheyCome, replayKept } from './replay.ts'
import { hasCriteria, hasGroupPrefix } from '../select/select.ts'
import { readHeld } from './sending-back.ts'

/** A replay that needs nothing but a yes. */
export interface PreparedReplay {
  readonly facts: QueueFacts
  /** undefined: the messages are sent as they come, and nobody has looked at them before. */
  readonly plan: ReplayPlan | undefined
  run(run: ReplayRun): Promise<ReplayReport>
  /** Gives back what is still held; always. */
  release(): Promise<void>
}

/**
 * What a person may take for the answer while messages are held. A broker closes the connection of who holds them for longer than
 * 30 minutes, and nobody else sees them meanwhile.
 */
const longestQuestionMs = 5 * 60_000
/** Text and bodies of planned messages that are kept in memory until they are sent. */
const mostKeptBytes = 64 * 1024 * 1024

/**
 * Finds out what a replay will do, at the price of one look at most. Where looking costs nothing the messages are looked at now and
 * taken later. Where a look is a delivery they are held from now on, so that the plan, the question and the replay are one delivery;
 * but they are given back, and taken once more, when they are too large to be kept or the question is not answered for long. Where
 * nothing has to be known before they are sent, they are not looked at at all.
 *
 * @param how `confirmed`: nobody will be asked; `window`: of the run
 * @throws {NsbError} those of {@link planReplay}, and of a holding that changes the queue
 */
export async function prepareReplay(
  transport: Transport,
  options: ReplayOptions,
  { confirmed, window }: { readonly confirmed: boolean; readonly window: number },
): Promise<PreparedReplay> {
  if (transport.can.lookWithoutTrace) return prepareByLooking(transport, options)
  await checkSelection(transport, options)
  const { maxHold, queue } = options
  const everything = !hasCriteria(options.criteria) && options.limit === undefined
  const inAnyCase = !options.newest && (options.criteria.ids ?? []).length === 0 && !hasGroupPrefix(options.criteria)
  const asTheyCome = inAnyCase && (everything || confirmed)
  // Of everything only what cannot be sent stays held, beside what is under way and what waits for it.
  const max = asTheyCome && everything ? Math.max(maxHold, 3 * window) : maxHold
  const holdOf = { ...holdOptions(transport, 'change', options), max, ...(asTheyCome ? { ahead: window } : {}) }
  const noted = await holdNoted(transport, queue, holdOf)
  const { holding } = noted
  const release = async (): Promise<void> => void (await holding.giveBack())
  try {
    if (!(asTheyCome && everything))
      checkHold(holding.facts, options, ['Or take every message, which holds few of them at a time: nsb errors replay --all'])
    if (!asTheyCome) return await prepareByHolding(transport, noted, options)
  } catch (error) {
    await release()
    throw error
  }
  return {
    facts: holding.facts,
    plan: undefined,
    run: (run) => replayAsTheyCome(transport, noted, { ...options, maxHold: max }, run),
    release,
  }
}

async function prepareByLooking(transport: Transport, options: ReplayOptions): Promise<PreparedReplay> {
  const plan = await planReplay(transport, options)
  return { facts: plan.facts, plan, run: (run) => replay(transport, plan, options, run), release: () => Promise.resolve() }
}

async function prepareByHolding(transport: Transport, noted: NotedHolding, options: ReplayOptions): Promise<PreparedReplay> {
  const { holding } = noted
  let kept: HeldMessage[] = []
  let room = mostKeptBytes
  const plan = await planHeld(transport, holding, options, (message) => {
    if (room < 0) return
    room -= sizeOf(message)
    if (room < 0) kept = []
    else kept.push(message)
  })
  let isHeld = true
  const release = async (): Promise<void> => {
    isHeld = false
    kept = []
    await holding.giveBack()
  }
  kept = kept.filter((message) => plan.wanted.has(readHeld(message)))
  if (room < 0) await release()
  const timer = setTimeout(() => void release(), longestQuestionMs).unref()
  return {
    facts: holding.facts,
    plan,
    run(run) {
      clearTimeout(timer)
      return isHeld ? replayKept(transport, noted, plan, kept, options, run) : release().then(() => replay(transport, plan, options, run))
    },
    release() {
      clearTimeout(timer)
      return release()
    },
  }
}

/** Characters and bytes; about what it takes in memory. */
function sizeOf({ body, headers }: HeldMessage): number {
  let size = body.length
  for (const name in headers) size += name.length + (headers[name] as string).length
  return size
}
