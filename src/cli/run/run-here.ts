import { type MessageType, definitionOf } from '../../message/declaration.ts'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { RunningEndpoint } from '../../runtime/endpoint.ts'
import { causeOf } from '../../runtime/thrown.ts'
import { type Logger, silentLogger } from '../../runtime/logger.ts'
import { loadProjectCode, requireHandlers } from '../../toolkit/project-code.ts'
import { type RunSummary, outcomeOf, runEndpoint } from '../../toolkit/run/run.ts'
import type { Settled } from '../../toolkit/run/protocol.ts'
import type { Transport } from '../../transport/transport.ts'
import { Exit } from '../exit-codes.ts'
import { type RunFlags, wantsJson } from './flags.ts'
import { printable, printableJson } from '../printable.ts'
import { BoundedOutput } from './bounded-output.ts'
import type { RunHost } from './host.ts'
import { bannerLines, eventDocument, eventLines, failureOf, unfinishedText } from './lines.ts'
import type { RunParent } from './parent.ts'

const graceMs = 10_000

/** Who started this run, and what is told to whom. */
export interface HereOptions {
  /** `performance.now()` when the command began. */
  readonly started: number
  /** The `nsb run` that supervises this process; undefined: nobody does. */
  readonly parent: RunParent | undefined
  /** Told while the transport is opened and its queue looked at: what fails then is no fault of the code. */
  readonly connecting: (isConnecting: boolean) => void
}

/** Runs the endpoint of the working directory in this process. */
export async function runHere(host: RunHost, flags: RunFlags, { connecting, parent, started }: HereOptions): Promise<RunSummary> {
  const json = wantsJson(flags)
  const project = await host.project()
  const code = await loadProjectCode(project, {
    name: flags.name,
    instance: flags.instance,
    only: flags.only,
    concurrency: flags.concurrency,
    errorQueue: await host.errorQueue(),
    immediateRetries: flags['no-retries'] ? 0 : flags['immediate-retries'],
    delayedRetries: flags['no-retries'] ? 0 : flags['delayed-retries'],
    delayIncreaseMs: flags['delay-increase'],
  })
  host.atEnd(code.dispose)
  requireHandlers(code, project)
  const { name } = code.definition
  connecting(true)
  const { transport, where } = await host.openTransport(name)
  if (flags.purge) await purge(host, transport, name, parent)
  await noteOthers(host, transport, name)
  connecting(false)
  const crashed = stopOnCrash(host, parent !== undefined)
  const signal = AbortSignal.any([host.signal, crashed, ...(parent ? [parent.signal] : [])])
  const output = new BoundedOutput((missing) =>
    json ? JSON.stringify({ event: 'notPrinted', lines: missing }) : `… ${missing} lines were not printed: nobody read them in time`,
  )
  const print = (document: Record<string, unknown>): void => output.line(printableJson(JSON.stringify(document)))
  const show = (lines: readonly string[]): void => lines.forEach((line) => output.line(line))
  const tellSettled = (outcome: keyof RunSummary, failure?: Settled['failure']): void =>
    void parent?.tell({ kind: 'settled', outcome, failure })
  const summary = await runEndpoint(code.definition, {
    transport,
    files: code.files,
    untilIdleMs: flags['until-idle'],
    ...(parent && { idle: (idle) => void parent.tell({ kind: 'idle', idle }) }),
    max: flags.max,
    maxTimeMs: flags['max-time'],
    signal,
    graceMs: () => (parent?.signal.aborted ? parent.graceMs : graceMs),
    pause: parent?.pause,
    paused: () => void parent?.tell({ kind: 'paused' }),
    logger: loggerOf(host),
    ready(endpoint) {
      const readyMs = performance.now() - started
      if (json) print(readyDocument(endpoint, where, readyMs))
      else
        show(bannerLines(endpoint, where, readyMs, host.colour.out, { noRetries: flags['no-retries'], keys: flags.supervised === 'keys' }))
      if (host.verbosity > 0) void warnOfSharedTypes(host, endpoint, code.messages)
      void parent?.tell({ kind: 'ready', endpoint: endpoint.name })
    },
    stopping(endpoint) {
      if (!parent) noteWaiting(host, endpoint)
    },
    event(event) {
      if (json) print(eventDocument(event, name))
      else show(eventLines(event, name, project.folder, host.colour.out))
      tellSettled(outcomeOf(event), failureOf(event, name))
    },
    // For people the endpoint's own warning says it.
    poison({ nativeId, queue, reason }) {
      if (json) print({ event: 'poison', at: new Date().toISOString(), queue, nativeId, reason })
      tellSettled('failed')
    },
    abandoned: () => tellSettled('unfinished'),
    criticalError: () => tellSettled('criticalErrors'),
  })
  if (summary.unfinished > 0) host.warning(unfinishedText(summary.unfinished, name, code.definition.transactionMode))
  return summary
}

/** Until the command ends. @returns aborted when an exception was thrown outside of every promise */
function stopOnCrash(host: RunHost, isSupervised: boolean): AbortSignal {
  const crashed = new AbortController()
  // A promise that a handler forgot must not take the messages of others with it.
  const onUnhandled = (reason: unknown): void => host.warning(`A promise was rejected and nobody awaited it: ${errorText(reason)}`)
  // Nobody knows what an exception outside of every promise has left half-done, so the endpoint stops; what is in hand may finish.
  const onUncaught = (error: unknown): void => {
    host.warning(
      `An exception was thrown where nothing could catch it, in a timer or an event of the handlers; the endpoint stops: ${errorText(error)}`,
    )
    host.detail(error instanceof Error ? (error.stack ?? '') : '')
    // Under --watch the next change starts a new process, which takes back what this one had in hand.
    if (isSupervised) process.exit(Exit.unexpected)
    host.finish(Exit.unexpected)
    crashed.abort()
  }
  process.on('unhandledRejection', onUnhandled)
  process.on('uncaughtException', onUncaught)
  host.atEnd(() => {
    process.off('unhandledRejection', onUnhandled)
    process.off('uncaughtException', onUncaught)
    return Promise.resolve()
  })
  return crashed.signal
}

function readyDocument(endpoint: RunningEndpoint, where: string, readyMs: number): Record<string, unknown> {
  return {
    event: 'ready',
    at: new Date().toISOString(),
    endpoint: endpoint.name,
    transport: where,
    pid: process.pid,
    handlers: endpoint.handlers.map(({ file, handles, name: handler }) => ({ type: handles.fullName, handler, file })),
    readyMs: Math.round(readyMs),
  }
}

function noteWaiting(host: RunHost, { inHand }: RunningEndpoint): void {
  if (inHand > 0)
    host.note(`waiting up to 10 s for ${inHand} message${inHand === 1 ? '' : 's'} in hand, then they are put back; Ctrl-C again ends now`)
}

async function warnOfSharedTypes(host: RunHost, { handlers }: RunningEndpoint, messages: readonly MessageType[]): Promise<void> {
  const { sharedTypes } = await import('../../toolkit/shared-types.ts')
  const shared = sharedTypes(
    handlers,
    messages.flatMap((type) => definitionOf(type) ?? []),
  )
  for (const { handlers: names, type } of shared)
    host.warning(`${type} runs ${names.length} handlers as one unit (${names.join(', ')}): when one fails, all run again`)
  if (shared.length > 0) host.note(`  How to split them: ${host.colour.err.command('nsb handlers')}`)
}

async function noteOthers(host: RunHost, transport: Transport, queue: string): Promise<void> {
  const consumers = (await transport.inspect(queue))?.consumers
  if (typeof consumers === 'number' && consumers > 0)
    host.note(`${queue} has ${consumers} consumer${consumers === 1 ? '' : 's'} already: they share its messages`)
}

async function purge(host: RunHost, transport: Transport, queue: string, parent: RunParent | undefined): Promise<void> {
  const waiting = (await transport.inspect(queue))?.depth ?? 0
  if (waiting === 0) return host.note(`nothing waits in ${queue}`)
  const question = `Remove ${waiting} message${waiting === 1 ? '' : 's'} from ${queue}?`
  const typed = waiting > 100 ? String(waiting) : undefined
  await (parent ? parent.confirm(question, typed) : host.confirm(question, { typed }))
  host.note(`removed ${await transport.purge(queue)} from ${queue}`)
}

// Failures are printed from the events, with their place in the code; here is what has no message.
function loggerOf(host: RunHost): Logger {
  const warn = (text: string, error?: unknown): void => {
    if (!(error instanceof NsbError)) {
      host.warning(error === undefined ? text : `${text} ${errorText(error)}`)
      const cause = causeOf(error)
      return cause === undefined ? undefined : warn('  caused by', cause)
    }
    host.warning(`${text} ${error.code}: ${error.message}`)
    for (const suggestion of error.suggestions) host.note(`  Try: ${printable(suggestion)}`)
  }
  const perMessage = /^(Moving message|Delayed Retry|Immediate Retry)/
  return {
    ...silentLogger,
    warn: (text, error) => perMessage.test(text) || warn(text, error),
    error: (text, error) => perMessage.test(text) || warn(text, error),
  }
}
