import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { enterFolder } from '../src/cli/enter-folder.ts'
import { Exit } from '../src/cli/exit-codes.ts'
import { durationFlag } from '../src/cli/global-flags.ts'
import { errorText } from '../src/message/nsb-error.ts'
import type { RunningEndpoint } from '../src/runtime/endpoint.ts'
import type { EndpointEvent } from '../src/runtime/engine.ts'
import { type Logger, silentLogger } from '../src/runtime/logger.ts'
import type { RunSummary } from '../src/toolkit/run/run.ts'
import type { Transport } from '../src/transport/transport.ts'

const retries = { helpGroup: 'RETRIES' } as const
const end = { helpGroup: 'END' } as const

export default class Run extends BaseCommand {
  static override summary = 'run the handlers of a folder as an endpoint'
  static override description =
    `Finds **/*.handler.ts (or .js, or the glob of nsb.json), or takes the endpoint that endpoint.ts exports; TypeScript needs no build.
Creates the queue, subscribes to the events that are handled, and processes messages with the retries of a real endpoint. Ctrl-C lets
the messages in hand finish; twice ends at once, and what was in hand is taken back at the next start.

Exit codes: 0 idle, done or stopped, 2 something is wrong with the code or the configuration, 6 --purge was not confirmed, 8 a message
failed (--until-idle, --max, --max-time), 130 and 143 after Ctrl-C and SIGTERM.`
  static override examples = [
    '<%= config.bin %> run',
    '<%= config.bin %> run --no-retries',
    '<%= config.bin %> run shop --until-idle 2s --log json',
    '<%= config.bin %> run --max 1 --max-time 30s',
    '<%= config.bin %> run --immediate-retries 1 --delayed-retries 0',
  ]
  static override args = {
    dir: Args.string({ ignoreStdin: true, description: 'folder of the endpoint (default: the project around the working directory)' }),
  }
  static override flags = {
    name: Flags.string({ helpValue: '<endpoint>', summary: 'name of the endpoint and its queue' }),
    instance: Flags.string({ helpValue: '<id>', summary: 'id of this instance: a queue of its own, for requests' }),
    only: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<handler>',
      summary: 'run this handler only; may be given several times',
    }),
    concurrency: Flags.integer({ min: 1, helpValue: '<n>', summary: 'messages in hand at the same time' }),
    purge: Flags.boolean({ summary: 'first remove what waits in the queue; asks' }),
    log: Flags.string({ options: ['pretty', 'json'], summary: 'form of the output; json: one object per line, the first one says ready' }),
    'until-idle': durationFlag({ summary: 'end when there was nothing to do for that long, delayed retries included', ...end }),
    max: Flags.integer({ min: 1, helpValue: '<n>', summary: 'end when n messages were handled or failed', ...end }),
    'max-time': durationFlag({ summary: 'end after that long', ...end }),
    'no-retries': Flags.boolean({
      summary: 'every failure goes to the error queue at once',
      exclusive: ['immediate-retries', 'delayed-retries', 'delay-increase'],
      ...retries,
    }),
    'immediate-retries': Flags.integer({
      min: 0,
      aliases: ['immediate'],
      helpValue: '<n>',
      summary: 'attempts right after the first',
      ...retries,
    }),
    'delayed-retries': Flags.integer({ min: 0, aliases: ['delayed'], helpValue: '<n>', summary: 'rounds after that', ...retries }),
    'delay-increase': durationFlag({ aliases: ['delay'], summary: 'first wait; the n-th is n times as long', ...retries }),
  }

  // Every object goes out as it happens, so oclif has no document to print at the end.
  override jsonEnabled(): boolean {
    return false
  }

  async run(): Promise<void> {
    const started = performance.now()
    const { args, flags } = await this.parse(Run)
    const json = flags.log === 'json' || (flags.log === undefined && flags.json === true)
    if (args.dir !== undefined) enterFolder(args.dir)
    const { signal } = this
    const project = await this.project()
    const { loadProjectCode, requireHandlers } = await import('../src/toolkit/project-code.ts')
    const code = await loadProjectCode(project, {
      name: flags.name,
      instance: flags.instance,
      only: flags.only,
      concurrency: flags.concurrency,
      errorQueue: this.globals['error-queue'] === undefined ? undefined : (await this.errorQueues())[0],
      immediateRetries: flags['no-retries'] ? 0 : flags['immediate-retries'],
      delayedRetries: flags['no-retries'] ? 0 : flags['delayed-retries'],
      delayIncreaseMs: flags['delay-increase'],
    })
    this.atEnd(code.dispose)
    requireHandlers(code, project)
    const transport = await this.openTransport()
    if (flags.purge) await this.#purge(transport, code.definition.name)
    const { where } = this
    const lines = await import('../src/cli/run-lines.ts')
    const { runEndpoint } = await import('../src/toolkit/run/run.ts')
    const print = (document: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(document)}\n`)
    // A promise that a handler forgot must not take the messages of others with it.
    const onUnhandled = (reason: unknown): void => this.warning(`A promise was rejected and nobody awaited it: ${errorText(reason)}`)
    process.on('unhandledRejection', onUnhandled)
    this.atEnd(() => Promise.resolve(void process.off('unhandledRejection', onUnhandled)))
    const summary = await runEndpoint(code.definition, {
      transport,
      files: code.files,
      untilIdleMs: flags['until-idle'],
      max: flags.max,
      maxTimeMs: flags['max-time'],
      signal,
      graceMs: () => 10_000,
      logger: this.#logger(),
      ready: (endpoint: RunningEndpoint) => {
        const readyMs = performance.now() - started
        if (json)
          print({
            event: 'ready',
            at: new Date().toISOString(),
            endpoint: endpoint.name,
            transport: where,
            pid: process.pid,
            handlers: endpoint.handlers.map(({ file, handles, name }) => ({ type: handles.fullName, handler: name, file })),
            readyMs: Math.round(readyMs),
          })
        else
          for (const line of lines.bannerLines(endpoint, where, readyMs, this.colour.out, { noRetries: flags['no-retries'], keys: false }))
            process.stdout.write(`${line}\n`)
        if (this.verbosity > 0) for (const warning of lines.sharedTypeWarnings(endpoint)) this.warning(warning)
      },
      event: (event: EndpointEvent) => {
        if (json) print(lines.eventDocument(event, code.definition.name))
        else
          for (const line of lines.eventLines(event, code.definition.name, project.folder, this.colour.out))
            process.stdout.write(`${line}\n`)
      },
    })
    this.#report(summary, json)
    if (summary.failed > 0 && [flags['until-idle'], flags.max, flags['max-time']].some((given) => given !== undefined))
      this.finish(Exit.negative)
  }

  async #purge(transport: Transport, queue: string): Promise<void> {
    const waiting = (await transport.inspect(queue))?.depth ?? 0
    if (waiting === 0) return this.note(`nothing waits in ${queue}`)
    await this.confirm(`Remove ${waiting} message${waiting === 1 ? '' : 's'} from ${queue}?`, {
      typed: waiting > 100 ? String(waiting) : undefined,
    })
    this.note(`removed ${await transport.purge(queue)} from ${queue}`)
  }

  // Failures are printed from the events, with their place in the code; here is what has no message.
  #logger(): Logger {
    const warn = (text: string, error?: unknown): void => this.warning(error === undefined ? text : `${text} ${errorText(error)}`)
    const perMessage = /^(Moving message|Delayed Retry|Immediate Retry)/
    return {
      ...silentLogger,
      warn: (text, error) => perMessage.test(text) || warn(text, error),
      error: (text, error) => perMessage.test(text) || warn(text, error),
    }
  }

  #report(summary: RunSummary, json: boolean): void {
    if (json) process.stdout.write(`${JSON.stringify({ schema: 'nsb.summary/1', ...summary })}\n`)
    else
      this.note(
        `handled ${summary.handled}, failed ${summary.failed}, retried ${summary.retried}${summary.discarded > 0 ? `, discarded ${summary.discarded}` : ''}`,
      )
    if (summary.failed > 0 && !json) this.next('nsb errors')
  }
}
