import { resolve } from 'node:path'
import { Args, Flags, type Interfaces, type Parser } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { noColours } from '../src/cli/colour.ts'
import { enterFolder } from '../src/cli/enter-folder.ts'
import { Exit } from '../src/cli/exit-codes.ts'
import { durationFlag } from '../src/cli/global-flags.ts'
import { type MessageType, definitionOf } from '../src/message/declaration.ts'
import { NsbError, errorText } from '../src/message/nsb-error.ts'
import type { RunningEndpoint } from '../src/runtime/endpoint.ts'
import type { EndpointEvent } from '../src/runtime/engine.ts'
import { type Logger, silentLogger } from '../src/runtime/logger.ts'
import type { RunParent } from '../src/cli/run-parent.ts'
import type { FoundEndpoints } from '../src/toolkit/run/find-endpoints.ts'
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

With --watch a change stops the endpoint, lets the messages in hand finish (5 s), and starts it with the new code in a new process. Code
that does not compile keeps it stopped, and its messages wait. Of a folder with several projects, or an nsb.json with "workspaces", every
endpoint runs in a process of its own; they end together. In a terminal there are keys: h lists them.

Exit codes: 0 idle, done or stopped, 2 something is wrong with the code or the configuration, 6 --purge was not confirmed, 8 a message
failed (--until-idle, --max, --max-time), 130 and 143 after Ctrl-C and SIGTERM.`
  static override examples = [
    '<%= config.bin %> run',
    '<%= config.bin %> run --watch --no-retries',
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
    watch: Flags.boolean({ char: 'w', summary: 'reload when code or a .json file of the project changes' }),
    purge: Flags.boolean({ summary: 'first remove what waits in the queue; asks' }),
    log: Flags.string({ options: ['pretty', 'json'], summary: 'form of the output; json: one object per line, the first one says ready' }),
    inspect: Flags.boolean({ summary: 'let a debugger attach to the handlers' }),
    supervised: Flags.string({ hidden: true, options: ['keys', 'plain'] }),
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

  #parent: RunParent | undefined
  #isConnecting = false

  async run(): Promise<void> {
    const started = performance.now()
    const parsed = await this.parse(Run)
    const { args, flags } = parsed
    if (flags.supervised !== undefined) {
      const { RunParent: Parent } = await import('../src/cli/run-parent.ts')
      this.#parent = new Parent()
      return this.#runHere(flags, started)
    }
    if (args.dir !== undefined) enterFolder(args.dir)
    const { findEndpoints } = await import('../src/toolkit/run/find-endpoints.ts')
    const found = await findEndpoints(process.cwd(), args.dir !== undefined)
    const [first, ...further] = found.endpoints
    const keys =
      process.stdout.isTTY && this.terminal.interactive && !wantsJson(flags) && (await import('../src/cli/run-keys.ts')).hasKeyboard()
    if (further.length > 0) this.#refuseForSeveral(flags)
    else if (!flags.watch && !flags.inspect && !keys) {
      if (first.folder !== found.root) enterFolder(first.folder)
      return this.#runHere(flags, started)
    }
    await this.#runInProcesses(flags, parsed.raw, found, keys)
  }

  /** The endpoint in this process. */
  async #runHere(flags: RunFlags, started: number): Promise<void> {
    const json = wantsJson(flags)
    const parent = this.#parent
    const crashed = new AbortController()
    const signal = AbortSignal.any([this.signal, crashed.signal, ...(parent ? [parent.signal] : [])])
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
    const { name } = code.definition
    this.#isConnecting = true
    const transport = await this.openTransport()
    if (flags.purge) await this.#purge(transport, name)
    await this.#noteOthers(transport, name)
    this.#isConnecting = false
    const { where } = this
    const lines = await import('../src/cli/run-lines.ts')
    const { outcomeOf, runEndpoint } = await import('../src/toolkit/run/run.ts')
    const print = (document: Record<string, unknown>): void => void process.stdout.write(`${JSON.stringify(document)}\n`)
    // A promise that a handler forgot must not take the messages of others with it.
    const onUnhandled = (reason: unknown): void => this.warning(`A promise was rejected and nobody awaited it: ${errorText(reason)}`)
    process.on('unhandledRejection', onUnhandled)
    // Nobody knows what an exception outside of every promise has left half-done, so the endpoint stops; what is in hand may finish.
    const onUncaught = (error: unknown): void => {
      this.warning(
        `An exception was thrown where nothing could catch it, in a timer or an event of the handlers; the endpoint stops: ${errorText(error)}`,
      )
      this.detail(error instanceof Error ? (error.stack ?? '') : '')
      // Under --watch the next change starts a new process, which takes back what this one had in hand.
      if (parent) process.exit(Exit.unexpected)
      this.finish(Exit.unexpected)
      crashed.abort()
    }
    process.on('uncaughtException', onUncaught)
    this.atEnd(() => {
      process.off('unhandledRejection', onUnhandled)
      process.off('uncaughtException', onUncaught)
      return Promise.resolve()
    })
    const summary = await runEndpoint(code.definition, {
      transport,
      files: code.files,
      untilIdleMs: flags['until-idle'],
      ...(parent && { idle: (idle) => void parent.tell({ kind: 'idle', idle }) }),
      max: flags.max,
      maxTimeMs: flags['max-time'],
      signal,
      graceMs: () => (parent?.signal.aborted ? parent.graceMs : 10_000),
      pause: parent?.pause,
      paused: () => void parent?.tell({ kind: 'paused' }),
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
            handlers: endpoint.handlers.map(({ file, handles, name: handler }) => ({ type: handles.fullName, handler, file })),
            readyMs: Math.round(readyMs),
          })
        else
          for (const line of lines.bannerLines(endpoint, where, readyMs, this.colour.out, {
            noRetries: flags['no-retries'],
            keys: flags.supervised === 'keys',
          }))
            process.stdout.write(`${line}\n`)
        signal.addEventListener('abort', () => {
          const { inHand } = endpoint
          if (inHand > 0 && !parent)
            this.note(
              `waiting up to 10 s for ${inHand} message${inHand === 1 ? '' : 's'} in hand, then they are put back; Ctrl-C again ends now`,
            )
        })
        if (this.verbosity > 0) void this.#warnOfSharedTypes(endpoint, code.messages)
        void parent?.tell({ kind: 'ready', endpoint: endpoint.name })
      },
      event: (event: EndpointEvent) => {
        if (json) print(lines.eventDocument(event, name))
        else for (const line of lines.eventLines(event, name, project.folder, this.colour.out)) process.stdout.write(`${line}\n`)
        const outcome = outcomeOf(event)
        if (outcome !== undefined) void parent?.tell({ kind: 'settled', outcome, failure: lines.failureOf(event, name) })
      },
      // For people the endpoint's own warning says it.
      poison: ({ nativeId, queue, reason }) => {
        if (json) print({ event: 'poison', at: new Date().toISOString(), queue, nativeId, reason })
        void parent?.tell({ kind: 'settled', outcome: 'failed' })
      },
    })
    if (!parent) this.#report(summary, flags)
  }

  /** Each endpoint in a process of its own: several of them, new code, keys. */
  async #runInProcesses(flags: RunFlags, raw: Raw, found: FoundEndpoints, keys: boolean): Promise<void> {
    const { runEndpoints } = await import('../src/cli/run-endpoints.ts')
    const { NSB_STORAGE: storage } = process.env
    const wordsOf = (isWanted: (flag: string) => boolean): string[] =>
      raw.flatMap((token) => {
        if (token.type !== 'flag' || !isWanted(token.flag)) return []
        const option = (Run.flags as Flagged)[token.flag] ?? (Run.baseFlags as Flagged)[token.flag]
        const input = token.flag === 'storage' ? resolve(token.input) : token.input
        return option?.type === 'option' ? [`--${token.flag}=${input}`] : [`--${token.flag}`]
      })
    const words = wordsOf((flag) => !['watch', 'inspect', 'purge', 'max', 'max-time'].includes(flag))
    const { exitCode, summary } = await runEndpoints({
      endpoints: found.endpoints,
      words: (start) => [
        ...words,
        `--supervised=${start.keys ? 'keys' : 'plain'}`,
        ...(start.isFirst && flags.purge ? ['--purge'] : []),
        ...(start.max === undefined ? [] : [`--max=${start.max}`]),
      ],
      connectionWords: wordsOf((flag) =>
        ['profile', 'transport', 'storage', 'connection', 'timeout', 'confirm', 'no-color'].includes(flag),
      ),
      nodeWords: flags.inspect ? [found.endpoints.length > 1 ? '--inspect=0' : '--inspect'] : [],
      env: {
        ...process.env,
        ...(storage && { NSB_STORAGE: resolve(storage) }),
        ...(this.colour.out !== noColours && { FORCE_COLOR: '1' }),
      },
      watch: flags.watch ? { root: found.root, except: await this.#storageFolders(found.root) } : undefined,
      untilIdle: flags['until-idle'] !== undefined,
      max: flags.max,
      maxTimeMs: flags['max-time'],
      json: wantsJson(flags),
      keys,
      colour: this.colour,
      signal: this.signal,
      note: (text) => this.note(text),
      warning: (text) => this.warning(text),
      confirm: (question, typed) => this.confirm(question, { typed }),
    })
    this.#report(summary, flags)
    if (exitCode !== Exit.done) this.finish(exitCode)
  }

  // What is received must not count as a change.
  async #storageFolders(root: string): Promise<readonly string[]> {
    const { findProject } = await import('../src/toolkit/project.ts')
    const profiles = await findProject(root).then(
      (project) => Object.values(project.profiles),
      () => [],
    )
    return [
      ...(this.globals.storage === undefined ? [] : [resolve(this.globals.storage)]),
      ...profiles.flatMap(({ storage }) => (storage === undefined ? [] : [resolve(root, storage)])),
    ]
  }

  #refuseForSeveral(flags: RunFlags): void {
    const flag = (['name', 'only', 'max'] as const).find((each) => flags[each] !== undefined)
    if (flag === undefined) return
    throw new NsbError({
      code: 'NSB_CONFLICTING_OPTIONS',
      message: `--${flag} is for one endpoint, and there are several here.`,
      suggestions: ['Name the folder of one: nsb run <dir>'],
    })
  }

  protected override async catch(error: Error): Promise<void> {
    const { errorDocument, errorLines, reportedError } = await import('../src/cli/report-error.ts')
    const reported = reportedError(error)
    if (!this.#parent) {
      if (this.argv.includes('--json') || /--log[= ]json/.test(this.argv.join(' ')))
        process.stdout.write(`${JSON.stringify(errorDocument(reported))}\n`)
      return super.catch(error)
    }
    await this.#parent.tell({
      kind: 'refused',
      exitCode: reported.exitCode,
      text: errorLines(reported, this.colour.err, this.verbosity > 1),
      error: (errorDocument(reported) as { error: Record<string, unknown> }).error,
      inCode: !this.#isConnecting && [Exit.unexpected, Exit.usage].includes(reported.exitCode as never),
    })
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    await super.finally(error)
    await this.#parent?.leave()
  }

  async #warnOfSharedTypes({ handlers }: RunningEndpoint, messages: readonly MessageType[]): Promise<void> {
    const { sharedTypes } = await import('../src/toolkit/shared-types.ts')
    const shared = sharedTypes(
      handlers,
      messages.flatMap((type) => definitionOf(type) ?? []),
    )
    for (const { handlers: names, type } of shared)
      this.warning(`${type} runs ${names.length} handlers as one unit (${names.join(', ')}): when one fails, all run again`)
    if (shared.length > 0) this.note(`  How to split them: ${this.colour.err.command('nsb handlers')}`)
  }

  async #noteOthers(transport: Transport, queue: string): Promise<void> {
    const consumers = (await transport.inspect(queue))?.consumers
    if (typeof consumers === 'number' && consumers > 0)
      this.note(`${queue} has ${consumers} consumer${consumers === 1 ? '' : 's'} already: they share its messages`)
  }

  async #purge(transport: Transport, queue: string): Promise<void> {
    const waiting = (await transport.inspect(queue))?.depth ?? 0
    if (waiting === 0) return this.note(`nothing waits in ${queue}`)
    const question = `Remove ${waiting} message${waiting === 1 ? '' : 's'} from ${queue}?`
    const typed = waiting > 100 ? String(waiting) : undefined
    await (this.#parent ? this.#parent.confirm(question, typed) : this.confirm(question, { typed }))
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

  #report(summary: RunSummary, flags: RunFlags): void {
    const json = wantsJson(flags)
    if (json) process.stdout.write(`${JSON.stringify({ schema: 'nsb.summary/1', ...summary })}\n`)
    else
      this.note(
        `handled ${summary.handled}, failed ${summary.failed}, retried ${summary.retried}${summary.discarded > 0 ? `, discarded ${summary.discarded}` : ''}`,
      )
    if (summary.failed > 0 && !json) this.next('nsb errors')
    if (summary.failed > 0 && [flags['until-idle'], flags.max, flags['max-time']].some((given) => given !== undefined))
      this.finish(Exit.negative)
  }
}

type RunFlags = Interfaces.InferredFlags<typeof Run.flags> & { readonly json?: boolean | undefined }
type Raw = Awaited<ReturnType<typeof Parser.parse>>['raw']
type Flagged = Readonly<Record<string, { readonly type: string } | undefined>>

function wantsJson(flags: RunFlags): boolean {
  return flags.log === 'json' || (flags.log === undefined && flags.json === true)
}
