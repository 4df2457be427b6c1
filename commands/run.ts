import { Args, type Parser } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { enterFolder } from '../src/cli/enter-folder.ts'
import { Exit } from '../src/cli/exit-codes.ts'
import { type RunFlags, runFlags, wantsJson } from '../src/cli/run/flags.ts'
import type { RunHost } from '../src/cli/run/host.ts'
import type { RunParent } from '../src/cli/run/parent.ts'
import type { TypedFlag } from '../src/cli/run/run-in-processes.ts'
import { NsbError } from '../src/message/nsb-error.ts'
import type { RunSummary } from '../src/toolkit/run/run.ts'

export default class Run extends BaseCommand {
  static override summary = 'run the handlers of a folder as an endpoint'
  static override description =
    `Finds **/*.handler.ts (or .js, or the glob of nsb.json), or takes the endpoint that endpoint.ts exports; TypeScript needs no build.
Creates the queue, subscribes to the events that are handled, and processes messages with the retries of a real endpoint. Ctrl-C lets
the messages in hand finish; twice ends at once, and what was in hand is taken back at the next start.

With --watch a change stops the endpoint, lets the messages in hand finish (5 s), and starts it with the new code in a new process. Code
that does not compile keeps it stopped, and its messages wait. Of a folder with several projects, or an nsb.json with "workspaces", every
endpoint runs in a process of its own; they end together. In a terminal there are keys: h lists them.

Exit codes: 0 idle, done or stopped, 2 something is wrong with the code or the configuration, 3 there was a critical error, such as a file
that may not be read (--until-idle, --max, --max-time), 6 --purge or the protected profile was not confirmed, 7 a message in hand did not finish within 10 s of the end and was put back, 8 a message failed (--until-idle, --max,
--max-time), 130 and 143 after Ctrl-C and SIGTERM.`
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
  static override flags = runFlags

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
    const runHere = async (): Promise<RunSummary> => {
      const { runHere: run } = await import('../src/cli/run/run-here.ts')
      return run(this.#host(), flags, { started, parent: this.#parent, connecting: (is) => (this.#isConnecting = is) })
    }
    if (flags.supervised !== undefined) {
      const { RunParent: Parent } = await import('../src/cli/run/parent.ts')
      this.#parent = new Parent()
      await runHere()
      return
    }
    if (args.dir !== undefined) enterFolder(args.dir)
    const { findEndpoints } = await import('../src/toolkit/run/find-endpoints.ts')
    const found = await findEndpoints(process.cwd(), args.dir !== undefined)
    const { requireTrust } = await import('../src/toolkit/trust/trust.ts')
    // Asked here, and not by the processes of the endpoints.
    for (const { folder } of found.endpoints) await requireTrust({ kind: 'code', folder, consent: this.consent })
    for (const { folder, name } of found.endpoints)
      await this.confirmProtected(`Run '${name}'? It makes its queues, and consumes what waits in them.`, folder)
    const [first, ...further] = found.endpoints
    const keys = await this.#wantsKeys(flags)
    if (further.length > 0) refuseForSeveral(flags)
    else if (!flags.watch && !flags.inspect && !keys) {
      if (first.folder !== found.root) enterFolder(first.folder)
      return this.#report(await runHere(), flags)
    }
    const { runInProcesses } = await import('../src/cli/run/run-in-processes.ts')
    const { exitCode, summary } = await runInProcesses(this.#host(), flags, { found, keys, typed: typedFlags(parsed.raw) })
    this.#report(summary, flags)
    if (exitCode !== Exit.done) this.finish(exitCode)
  }

  async #wantsKeys(flags: RunFlags): Promise<boolean> {
    if (!process.stdout.isTTY || !this.terminal.interactive || wantsJson(flags)) return false
    return (await import('../src/cli/run/keys.ts')).hasKeyboard()
  }

  #host(): RunHost {
    return {
      colour: this.colour,
      verbosity: this.verbosity,
      storage: this.globals.storage,
      connection: this.globals.connection,
      signal: this.signal,
      note: (text) => this.note(text),
      detail: (text) => this.detail(text),
      warning: (text) => this.warning(text),
      project: () => this.project(),
      errorQueue: async () => (this.globals['error-queue'] === undefined ? undefined : this.errorQueue()),
      openTransport: async (endpoint) => ({ transport: await this.openTransport({ endpoint }), where: this.where }),
      confirm: (question, options) => this.confirm(question, options),
      atEnd: (close) => this.atEnd(close),
      finish: (code) => this.finish(code),
    }
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

  #report(summary: RunSummary, flags: RunFlags): void {
    const json = wantsJson(flags)
    if (json) process.stdout.write(`${JSON.stringify({ schema: 'nsb.summary/1', ...summary })}\n`)
    else this.note(summaryText(summary))
    if (summary.failed > 0 && !json) this.next('nsb errors')
    const endsByItself = [flags['until-idle'], flags.max, flags['max-time']].some((given) => given !== undefined)
    // An exception outside of every promise has decided already.
    if (process.exitCode !== undefined) return
    // Not everything was done; that is said before what came of the rest.
    if (summary.criticalErrors > 0 && endsByItself) this.finish(Exit.partly)
    else if (summary.failed > 0 && endsByItself) this.finish(Exit.negative)
    else if (summary.unfinished > 0) this.finish(Exit.timedOut)
  }
}

function summaryText({ criticalErrors, discarded, failed, handled, retried, unfinished }: RunSummary): string {
  const rare = { discarded, unfinished, 'critical errors': criticalErrors }
  const counts = Object.entries(rare).flatMap(([name, count]) => (count > 0 ? [`, ${name} ${count}`] : []))
  return `handled ${handled}, failed ${failed}, retried ${retried}${counts.join('')}`
}

/** Flags that name one thing of one endpoint. @throws {NsbError} NSB_CONFLICTING_OPTIONS */
function refuseForSeveral(flags: RunFlags): void {
  const flag = (['name', 'only', 'max'] as const).find((each) => flags[each] !== undefined)
  if (flag === undefined) return
  throw new NsbError({
    code: 'NSB_CONFLICTING_OPTIONS',
    message: `--${flag} is for one endpoint, and there are several here.`,
    suggestions: ['Name the folder of one: nsb run <dir>'],
  })
}

function typedFlags(raw: Awaited<ReturnType<typeof Parser.parse>>['raw']): readonly TypedFlag[] {
  const known: Readonly<Record<string, { readonly type: string } | undefined>> = { ...Run.baseFlags, ...Run.flags }
  return raw.flatMap((token) =>
    token.type === 'flag' ? [{ name: token.flag, value: token.input, takesValue: known[token.flag]?.type === 'option' }] : [],
  )
}
