import { spawn } from 'node:child_process'
import { join, sep } from 'node:path'
import type { EndpointFolder } from '../../toolkit/run/find-endpoints.ts'
import type { RunSummary } from '../../toolkit/run/run.ts'
import { Supervisor } from '../../toolkit/run/supervisor.ts'
import { watchFolder } from '../../toolkit/run/watch-folder.ts'
import type { Colours } from '../colour.ts'
import { Exit } from '../exit-codes.ts'
import { printableJson } from '../printable.ts'
import { BoundedOutput } from './bounded-output.ts'
import { keyHelp, listenForKeys } from './keys.ts'
import { Lines, withEndpoint } from './output.ts'

const graceMs = 10_000
/** Whoever waits longer than that is told for what. */
const patienceMs = 500

export interface EndpointsRun {
  readonly endpoints: readonly EndpointFolder[]
  /** Words of `nsb run` for the process of an endpoint, with how many messages it may still do. */
  words(this: void, start: { readonly isFirst: boolean; readonly keys: boolean; readonly max: number | undefined }): readonly string[]
  /** Words for `nsb errors replay` that say where. */
  readonly connectionWords: readonly string[]
  /** Words for node. */
  readonly nodeWords: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** undefined: changes are not looked for. */
  readonly watch: { readonly root: string; readonly except: readonly string[] } | undefined
  readonly untilIdle: boolean
  readonly max: number | undefined
  readonly maxTimeMs: number | undefined
  readonly json: boolean
  readonly keys: boolean
  readonly colour: { readonly out: Colours; readonly err: Colours }
  readonly signal: AbortSignal
  note(this: void, text: string): void
  warning(this: void, text: string): void
  confirm(this: void, question: string, typed: string | undefined): Promise<void>
}

export interface EndpointsRan {
  readonly summary: RunSummary
  /** The worst of the endpoints'. */
  readonly exitCode: number
}

/** Runs each endpoint in a process of its own, until they end or are stopped; one that ends takes the others along. */
export async function runEndpoints(run: EndpointsRun): Promise<EndpointsRan> {
  const { colour, endpoints, json } = run
  const several = endpoints.length > 1
  const summary = { handled: 0, failed: 0, retried: 0, discarded: 0, unfinished: 0, criticalErrors: 0 }
  const idle = new Set<Supervisor>()
  let lastFailure: { readonly folder: string; readonly uniqueId: string; readonly errorQueue: string } | undefined
  let [paused, ended] = [false, false]
  let closeKeys: (() => void) | undefined
  let patience: NodeJS.Timeout | undefined

  const print = (document: object): void => void process.stdout.write(`${printableJson(JSON.stringify(document))}\n`)
  const stopAll = (): void => {
    ended = true
    patience ??= setTimeout(() => run.note('waiting for the messages in hand; Ctrl-C again ends at once'), patienceMs).unref()
    for (const supervisor of supervisors) supervisor.stop(graceMs)
  }
  const replayLast = (): void => {
    if (lastFailure === undefined) return run.note('nothing has failed yet')
    const { errorQueue, folder, uniqueId } = lastFailure
    const words = ['errors', 'replay', uniqueId, '--yes', '--error-queue', errorQueue, ...run.connectionWords]
    spawn(process.execPath, [...nsbWords(), ...words], { cwd: folder, env: run.env, stdio: ['ignore', 'inherit', 'inherit'] })
  }
  const keys: Readonly<Record<string, () => void>> = {
    h: () => keyHelp.forEach((line) => run.note(line)),
    r: () => supervisors.forEach((supervisor) => supervisor.reload([])),
    e: replayLast,
    p: () => {
      paused = !paused
      for (const supervisor of supervisors) supervisor.pause(paused)
      if (!paused) run.note('going on')
    },
    q: stopAll,
  }
  const listen = (): void => {
    if (run.keys && !ended) closeKeys ??= listenForKeys((key) => Object.hasOwn(keys, key) && keys[key]?.())
  }

  const confirm = async (question: string, typed: string | undefined): Promise<void> => {
    closeKeys?.()
    closeKeys = undefined
    await run.confirm(question, typed)
    listen()
  }

  const printed = new BoundedOutput((missing) =>
    json ? JSON.stringify({ event: 'notPrinted', lines: missing }) : `… ${missing} lines were not printed: nobody read them in time`,
  )
  const width = Math.max(...endpoints.map(({ name }) => name.length))
  const supervisors = endpoints.map((endpoint, index) => {
    const paint = [colour.out.command, colour.out.done, colour.out.warning, colour.out.bold][index % 4] ?? colour.out.bold
    const prefix = several ? `${paint(endpoint.name.padEnd(width))} | ` : ''
    const output = {
      stdout: new Lines((line) => printed.line(json ? (several ? withEndpoint(line, endpoint.name) : line) : `${prefix}${line}`)),
      stderr: new Lines((line) => void process.stderr.write(`${prefix}${line}\n`)),
    }
    const event = (name: string, more: object): object => ({
      event: name,
      at: new Date().toISOString(),
      ...(several && { endpoint: endpoint.name }),
      ...more,
    })
    const supervisor: Supervisor = new Supervisor({
      waitsForChange: run.watch !== undefined,
      start: (isFirst) => ({
        words: [
          ...run.nodeWords,
          ...nsbWords(),
          'run',
          ...run.words({
            isFirst,
            keys: run.keys && !several,
            max: run.max === undefined ? undefined : run.max - summary.handled - summary.failed - summary.discarded,
          }),
        ],
        folder: endpoint.folder,
        env: run.env,
        ...((several || json) && {
          output: {
            write: (stream, chunk) => output[stream].write(chunk),
            end: () => Object.values(output).forEach((lines) => lines.end()),
          },
        }),
      }),
      told: {
        settled: ({ failure, outcome }) => {
          // What a reload or a pause has put back comes again.
          if (outcome !== 'unfinished' || ended) summary[outcome] += 1
          if (failure !== undefined) lastFailure = { ...failure, folder: endpoint.folder }
        },
        idle: (isIdle) => {
          idle[isIdle ? 'add' : 'delete'](supervisor)
          if (run.untilIdle && idle.size === endpoints.length) stopAll()
        },
        paused: () => run.note(`${prefix}${endpoint.name} is paused, and its messages wait; p goes on`),
        confirm,
        reloading: (files) => {
          if (json) print(event('reloading', { files }))
          else run.note(`${prefix}${colour.err.warning('↻')} ${files.length === 0 ? '' : `${files.join(', ')} changed, `}reloading`)
        },
        broken: (problem, waits) => {
          const died = problem.kind === 'died' ? `the process of ${endpoint.name} ended unexpectedly (${problem.how})` : ''
          if (json) print(event('broken', { error: problem.kind === 'died' ? { code: 'NSB_UNEXPECTED', message: died } : problem.error }))
          for (const line of (problem.kind === 'died' ? colour.err.failure(died) : problem.text).split('\n'))
            process.stderr.write(`${prefix}${line}\n`)
          if (!waits) return
          run.note(`${prefix}${endpoint.name} is stopped and its messages wait; the next change starts it again`)
        },
      },
    })
    return supervisor
  })

  // Before the first process: when node ends, it leaves the terminal as it found it.
  listen()
  if (several && run.keys) run.note('press h for help')
  const watching = run.watch && watchAll(run, run.watch, endpoints, supervisors)
  const timer = run.maxTimeMs === undefined ? undefined : setTimeout(stopAll, run.maxTimeMs)
  run.signal.addEventListener('abort', stopAll)
  if (run.signal.aborted) stopAll()
  try {
    const ends = await Promise.allSettled(supervisors.map((supervisor) => supervisor.run().finally(stopAll)))
    const codes = ends.map((end) => {
      if (end.status === 'rejected') throw end.reason
      return end.value
    })
    return { summary, exitCode: worst(codes) }
  } finally {
    clearTimeout(timer)
    clearTimeout(patience)
    watching?.close()
    closeKeys?.()
  }
}

/** How this command line was started. */
function nsbWords(): readonly string[] {
  return [...process.execArgv, process.argv[1] ?? '']
}

/** A bug before a mistake before a message that failed. */
function worst(codes: readonly number[]): number {
  const rank = (code: number): number => (code === Exit.unexpected ? 1000 : code === Exit.usage ? 900 : code)
  return codes.toSorted((a, b) => rank(b) - rank(a))[0] ?? Exit.done
}

/** A change inside an endpoint's folder is its own; any other may concern all. */
function watchAll(
  run: EndpointsRun,
  { except, root }: NonNullable<EndpointsRun['watch']>,
  endpoints: readonly EndpointFolder[],
  supervisors: readonly Supervisor[],
): { close(): void } {
  return watchFolder(
    root,
    except,
    (files) => {
      const owners = files.map((file) => endpoints.findIndex(({ folder }) => join(root, file).startsWith(folder + sep)))
      for (const [index, supervisor] of supervisors.entries()) {
        const concerning = files.filter((_file, at) => owners[at] === index || owners[at] === -1)
        if (concerning.length > 0) supervisor.reload(concerning)
      }
    },
    (error) => run.warning(`Changes below ${root} may not be seen: ${error instanceof Error ? error.message : String(error)}`),
  )
}
