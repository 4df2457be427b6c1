import { bodyPath } from '../select/body-path.ts'
import { Journal, thisProcess } from '../journal/journal.ts'
import type { ReplayOptions, ReplayPlan } from './plan.ts'
import type { ReplayRun } from './replay.ts'
import type { Criteria } from '../select/select.ts'

type Chosen = Omit<ReplayOptions, 'queue' | 'overrule' | 'maxHold' | 'signal'>
type Manner = Pick<ReplayRun, 'window' | 'onError' | 'waitMs' | 'keepAcknowledgeTo' | 'sameNativeId'>

/** How it goes beside that, in the words of its flags. */
export interface PaceRecord {
  /** A JSON Patch of the bodies. */
  readonly patch: string | undefined
  readonly rate: string | undefined
  readonly batch: string | undefined
  readonly batchPause: number | undefined
  /** By way of a queue of its own. */
  readonly staged: boolean
}

/** What was asked of a replay, as its journal keeps it: JSON. */
export interface ReplayRecord {
  readonly chosen: Chosen
  readonly manner: Manner
  readonly pace: PaceRecord
}

/** Where operations are noted, and on which transport and with which profile this one runs. */
export interface JournalPlace {
  readonly stateFolder: string
  readonly where: string
  readonly profile: string
  /** The name of its archive; undefined: that of the profile, as of old. */
  readonly archive?: string
}

/**
 * Begins the journal of a replay, when it was confirmed and before anything is sent.
 *
 * @param plan undefined: the messages are sent as they come
 * @throws {NsbError} NSB_JOURNAL_UNWRITABLE
 */
export function beginReplayJournal(
  { stateFolder, ...place }: JournalPlace,
  operation: string,
  options: ReplayOptions,
  manner: Manner,
  plan: ReplayPlan | undefined,
  pace?: PaceRecord,
): Journal {
  const typed = options.criteria.ids ?? []
  // Whole ids mean the same for ever; of more than a plan names, what was typed has to do.
  const areNamed = plan !== undefined && plan.selected === plan.first.length
  const ids = typed.length > 0 && areNamed ? plan.first.map(({ uniqueId }) => uniqueId) : typed
  return Journal.begin(stateFolder, {
    schema: 'nsb.operation/1',
    operation,
    command: 'replay',
    ...place,
    queue: options.queue,
    startedAt: new Date(options.now).toISOString(),
    owner: thisProcess(),
    options: { ...recordOf(options, manner, ids, plan?.groups ?? []), ...(pace ? { pace } : {}) },
  })
}

function recordOf(
  { all, criteria, limit, newest, now, redirects, to }: ReplayOptions,
  { keepAcknowledgeTo, onError, sameNativeId, waitMs, window }: Manner,
  ids: readonly string[],
  groups: readonly string[],
): Readonly<Record<string, unknown>> {
  const { body, ...others } = criteria
  return {
    criteria: { ...others, ids, ...(groups.length > 0 ? { group: groups } : {}), body: body?.map(({ path }) => path) },
    all,
    to,
    redirects,
    limit,
    newest,
    now,
    window,
    onError,
    waitMs,
    keepAcknowledgeTo,
    sameNativeId,
  }
}

/** What a journal keeps of a replay; undefined: it was not written by us. */
export async function readReplayRecord(record: Readonly<Record<string, unknown>>): Promise<ReplayRecord | undefined> {
  const { all, keepAcknowledgeTo, limit, newest, now, onError, redirects, sameNativeId, to, waitMs, window } = record
  const criteria = await readCriteria(record['criteria'])
  const pace = readPace(record['pace'])
  if (criteria === undefined || pace === undefined || !isTexts(redirects) || !isCount(now)) return undefined
  if (!isCount(window) || !isOptional(limit, isCount) || !isOptional(waitMs, isCount) || !isOptional(to, isText)) return undefined
  return {
    chosen: { criteria, all: all === true, to, redirects, limit, newest: newest === true, now },
    manner: {
      window: Math.max(1, window),
      onError: onError === 'stop' ? 'stop' : 'continue',
      waitMs,
      keepAcknowledgeTo: keepAcknowledgeTo === true,
      sameNativeId: sameNativeId === true,
    },
    pace,
  }
}

function readPace(value: unknown): PaceRecord | undefined {
  const { batch, batchPause, patch, rate, staged } = isRecord(value) ? value : {}
  if (!isOptional(patch, isText) || !isOptional(rate, isText) || !isOptional(batch, isText) || !isOptional(batchPause, isCount))
    return undefined
  return { patch, rate, batch, batchPause, staged: staged === true }
}

const lists = [
  'ids',
  'type',
  'exception',
  'message',
  'group',
  'endpoint',
  'failedQueue',
  'host',
  'sender',
  'header',
  'conversation',
  'kind',
] as const

async function readCriteria(value: unknown): Promise<Criteria | undefined> {
  if (!isRecord(value)) return undefined
  const { body, notReplayed, since, until } = value
  if (!isOptional(since, isText) || !isOptional(until, isText) || !isOptional(body, isList)) return undefined
  if (!lists.every((name) => isOptional(value[name], isList))) return undefined
  return {
    ...Object.fromEntries(lists.flatMap((name) => (value[name] === undefined ? [] : [[name, value[name] as readonly string[]]]))),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    ...(body === undefined ? {} : { body: await Promise.all(body.map((path) => bodyPath(path))) }),
    notReplayed: notReplayed === true,
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isList = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText)
const isTexts = (value: unknown): value is Readonly<Record<string, string>> => isRecord(value) && Object.values(value).every(isText)

function isOptional<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value)
}
