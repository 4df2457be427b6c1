import { Command } from '@oclif/core'
import type { Input, ParserOutput } from '@oclif/core/interfaces'
import { idWord } from '../message/ids.ts'
import { NsbError } from '../message/nsb-error.ts'
import { withoutPasswords } from '../toolkit/config/secrets.ts'
import { userConfigFile } from '../toolkit/config/user-file.ts'
import { removeOldSnapshots } from '../toolkit/errors/browse/snapshot-life.ts'
import { type Opened, openConnection } from '../toolkit/open-connection.ts'
import type { Consent } from '../toolkit/trust/trust.ts'
import { type Connection, type ConnectionChoice, type Project, type Setting, chooseConnection, findProject } from '../toolkit/project.ts'
import { stateFolder } from '../toolkit/state-folder.ts'
import type { Transport } from '../transport/transport.ts'
import { type Confirmation, type Question, type Terminal, ask, confirm, terminalOf } from './ask.ts'
import { type Colours, coloursFor, noColours, wantsColour } from './colour.ts'
import { Exit, isMilderThanPartly, isOfConnection } from './exit-codes.ts'
import { globalFlags } from './global-flags.ts'
import { Interruption } from './interruption.ts'
import { type ListingChoice, chosenColumns, csvLines, sortedRows } from './listing.ts'
import { printable, printableJson, printableLine } from './printable.ts'
import { type ReportedError, errorDocument, errorLines, reportedError } from './report-error.ts'
import { shellWord } from './shell-word.ts'
import { type Column, drawTable } from './table.ts'
import { unblockOutput } from './unblocked-output.ts'
import { sayElsewhere } from './unwritable-output.ts'

/** Values of the global flags, as parsed. */
export interface GlobalFlags {
  readonly profile?: string | undefined
  readonly transport?: string | undefined
  readonly connection?: string | undefined
  readonly storage?: string | undefined
  readonly 'error-queue'?: string | readonly string[] | undefined
  readonly timeout?: number | undefined
  readonly quiet?: boolean
  readonly verbose?: boolean
  readonly 'no-color'?: boolean
  readonly 'no-progress'?: boolean
  readonly 'no-input'?: boolean
  readonly yes?: boolean
  readonly force?: boolean
  readonly confirm?: string | undefined
  readonly output?: string | undefined
}

// oclif's own bound for flags and arguments, which it does not export.
// oxlint-disable-next-line typescript/no-explicit-any
type Values = { [name: string]: any }

type Sourced = 'profile' | 'transport' | 'connection' | 'storage' | 'error-queue'

const sources: Readonly<Record<Sourced, string>> = {
  profile: 'NSB_PROFILE',
  transport: 'NSB_TRANSPORT',
  connection: 'NSB_CONNECTION',
  storage: 'NSB_STORAGE',
  'error-queue': 'NSB_ERROR_QUEUE',
}

/** What the .NET tool reads too. */
const fallbackVariable = 'RabbitMQTransport_ConnectionString'
const timeoutMs = 30_000

/** What a command wants of the transport that it opens. */
export interface TransportChoice {
  /** Whose connections a broker shows, for what runs without an end: no message has to be confirmed within `--timeout` then. */
  readonly endpoint?: string
  /** Of the queues that are made, instead of that of the profile. */
  readonly queueType?: 'quorum' | 'classic' | undefined
}

/** A command line to be typed next; with the error queue that it is about, where several may have been named to this one. */
export type NextCommand = string | { readonly command: string; readonly errorQueue: string }

/** `nsb errors list --kind ack`, alone or as in `Name one: nsb errors resume <operation>`: a suggestion that goes on after it says something else. */
const commandAtEnd = /(^|: )(nsb errors(?: [a-z]+)?(?: <[a-z]+>| [\w.][\w.-]*)?(?: --?[a-z][a-z-]*(?:[= ](?:<[^<>]+>|[\w.*][\w.*-]*))?)*)$/

/** How a list shows its rows beside a table. */
export interface ListedAs<Row> {
  readonly id: (row: Row) => string
  readonly fields: (row: Row) => object
  /** Of the last line of ndjson. */
  readonly summary: object
}

/** What every command is made of: the global flags, the two streams, errors and exit codes, the project and its transport. */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true
  static override baseFlags = globalFlags

  /** As parsed; before that only what can be seen on the command line. */
  protected globals: GlobalFlags = {}
  /** Colours of the two streams. */
  protected colour: { readonly out: Colours; readonly err: Colours } = { out: noColours, err: noColours }
  /** 0, 1 (`-v`) or 2 (`-vv`, NSB_LOG=debug). */
  protected verbosity: 0 | 1 | 2 = 0

  /** What {@link openTransport} opened, for people. */
  protected where = ''
  /** The same for the programs that come later: which one it is, without credentials. */
  protected place = ''
  /** The same however it is written, for what is kept of it. */
  protected identity = ''
  /** What looks keep for ten minutes has bodies. */
  protected keepsBodies = true
  protected subscribersOf: Opened['subscribersOf']

  readonly #given = new Set<string>()
  readonly #closing: (() => Promise<void>)[] = []
  readonly #interruption = new Interruption()
  #project: Promise<Project> | undefined
  /** Whatever was looked at is known to be in its queue again. */
  #isAllBack = true
  /** The profile, when a broker was to be opened. */
  #broker: string | undefined

  protected override async init(): Promise<void> {
    await super.init()
    this.#interruption.start()
    unblockOutput()
    forgetOldLooks()
    if (process.env['NSB_LOG'] === 'debug' || this.argv.includes('-vv')) this.verbosity = 2
    if (this.argv.includes('--no-color')) this.globals = { 'no-color': true }
    await this.#loadColours()
  }

  protected override async parse<F extends Values, B extends Values, A extends Values>(
    options?: Input<F, B, A>,
    argv?: string[],
  ): Promise<ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv)
    this.globals = parsed.flags as GlobalFlags
    const flags = parsed.raw.flatMap((token) => (token.type === 'flag' ? [token.flag] : []))
    for (const flag of flags) this.#given.add(flag)
    const times = flags.filter((flag) => flag === 'verbose').length
    if (this.verbosity < 2 && times > 0) this.verbosity = times > 1 ? 2 : 1
    await this.#loadColours()
    await this.#readConnection()
    return parsed
  }

  /** `--connection -` is the first line of stdin; what follows is left for the command. */
  async #readConnection(): Promise<void> {
    const { connection } = this.globals
    if (connection === undefined || !this.#given.has('connection')) return
    if (connection !== '-') return this.warning('--connection is visible in the process list; prefer NSB_CONNECTION')
    const { lineOfStdin } = await import('./line-of-stdin.ts')
    this.globals = { ...this.globals, connection: (await lineOfStdin('connection')).trim() }
  }

  async #loadColours(): Promise<void> {
    const off = this.globals['no-color'] === true
    const [out, err] = [wantsColour(off, process.env, process.stdout.isTTY), wantsColour(off, process.env, process.stderr.isTTY)]
    this.colour = { out: await coloursFor(out), err: await coloursFor(err) }
  }

  override jsonEnabled(): boolean {
    return super.jsonEnabled() || this.globals.output === 'json'
  }

  override logJson(document: unknown): void {
    const text = printableJson(JSON.stringify(document, null, 2))
    process.stdout.write(`${text}\n`, (error) => sayElsewhere(text, error))
  }

  /** A result line on stdout; nothing under `--json`. */
  protected out(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(`${text}\n`, (error) => sayElsewhere(text, error))
  }

  /** A note on stderr; nothing under `--quiet`. What was typed may hold a password, also where it does not belong. */
  protected note(text: string): void {
    this.quote(withoutPasswords(text))
  }

  /** A note that is of a message, and shown as it is. */
  protected quote(text: string): void {
    if (this.globals.quiet !== true) process.stderr.write(`${text}\n`)
  }

  /** A note that `--quiet` does not hide: without it what is shown would be taken for something else. */
  protected notice(text: string): void {
    process.stderr.write(`${printable(text)}\n`)
  }

  /** A note only `--verbose` shows. */
  protected detail(text: string): void {
    if (this.verbosity > 0) this.note(this.colour.err.dim(printable(text)))
  }

  /** A warning on stderr; `--quiet` does not hide it. */
  protected warning(text: string): void {
    process.stderr.write(`${this.colour.err.warning(`! ${printable(withoutPasswords(text))}`)}\n`)
  }

  /** The commands the person most likely wants now, on stderr; nothing under `--json` or `--quiet`. */
  protected next(...commands: readonly NextCommand[]): void {
    if (this.jsonEnabled() || commands.length === 0) return
    const shown = commands.map((next) =>
      this.colour.err.command(typeof next === 'string' ? this.placed(next) : this.placed(next.command, next.errorQueue)),
    )
    this.note(`Next: ${shown.join('      ')}`)
  }

  /**
   * A command line to be shown, with where this one was told to look, for that one to look there as well; a connection may have a password.
   *
   * @param errorQueue the one it is about, of those that were named; undefined: all of them
   */
  protected placed(command: string, errorQueue?: string): string {
    if (!command.startsWith('nsb errors')) return printableLine(command)
    const given = (['profile', 'transport', 'storage'] as const).filter((name) => this.#given.has(name))
    const place = given.map((name) => [name, this.globals[name] ?? ''] as const)
    const isChosen = this.#given.has('error-queue') || (errorQueue !== undefined && this.#namedErrorQueues().length > 1)
    const queues = isChosen ? [errorQueue ?? this.globals['error-queue'] ?? []].flat().map((name) => ['error-queue', name] as const) : []
    return printableLine(command + [...place, ...queues].map(([name, value]) => ` --${name} ${shellWord(value)}`).join(''))
  }

  /** A table on stdout; nothing under `--json`. On a terminal the short forms are used and the last column is cut. */
  protected async table<Row>(
    rows: readonly Row[],
    columns: readonly Column<Row>[],
    style: { readonly header?: boolean; readonly truncate?: boolean } = {},
  ): Promise<void> {
    if (this.jsonEnabled()) return
    const terminal = process.stdout.isTTY
    const width = terminal && style.truncate !== false ? process.stdout.columns || 80 : undefined
    this.out(await drawTable(rows, columns, { width, short: terminal, header: style.header !== false, paintHeader: this.colour.out.dim }))
  }

  /** A list in the form of `-o`: table, wide, ids, ndjson or csv; nothing under `--json`. @returns the rows in the order of `--sort` */
  protected async list<Row>(
    rows: readonly Row[],
    columns: readonly Column<Row>[],
    choice: ListingChoice,
    as: ListedAs<Row>,
  ): Promise<readonly Row[]> {
    const [shown, sorted] = [chosenColumns(columns, choice), sortedRows(rows, columns, choice.sort)]
    // An id comes from a message: whoever reads it must not take it for a flag or for several words.
    if (choice.output === 'ids') for (const row of sorted) this.out(idWord(as.id(row)))
    else if (choice.output === 'csv')
      for (const line of csvLines(sorted, shown, choice['no-header'] !== true)) this.out(process.stdout.isTTY ? printable(line) : line)
    else if (choice.output === 'ndjson') {
      for (const row of sorted) this.out(printableJson(JSON.stringify(as.fields(row))))
      this.out(printableJson(JSON.stringify({ schema: 'nsb.summary/1', ...as.summary })))
    } else if (sorted.length > 0)
      await this.table(sorted, shown, { header: choice['no-header'] !== true, truncate: choice['no-truncate'] !== true })
    return sorted
  }

  /** Ends with this exit code, without throwing, so that the command's own document is printed. */
  protected finish(code: number): void {
    process.exitCode = code
  }

  /** May questions be asked? */
  protected get terminal(): Terminal {
    return terminalOf(this.globals['no-input'] === true, process.env)
  }

  /**
   * The one confirmation of a command; `--yes` answers it, on a protected profile `--confirm <profile>`.
   *
   * @throws {NsbError} NSB_NEEDS_CONFIRMATION (exit 6) where nobody can be asked, NSB_NOT_CONFIRMED (exit 6) on a no
   */
  protected async confirm(question: string, options: Confirmation = {}): Promise<void> {
    const { protect, profile } = await this.connection()
    if (protect) await this.#confirmByName(profile.value, question, options.signal)
    else if (this.globals.yes !== true) await confirm(question, this.terminal, options)
  }

  /** Is {@link confirm} answered by a flag? */
  protected async isAnswered(): Promise<boolean> {
    const { protect, profile } = await this.connection()
    return protect ? this.globals.confirm === profile.value : this.globals.yes === true
  }

  /**
   * The confirmation of a command that asks on a protected profile only.
   *
   * @param folder whose project says which profile it is
   * @throws {NsbError} as {@link confirm} does
   */
  protected async confirmProtected(question: string, folder: string): Promise<void> {
    const { protect, profile } = await this.connection(undefined, await findProject(folder, userConfigFile(process.env)))
    if (protect) await this.#confirmByName(profile.value, question)
  }

  async #confirmByName(profile: string, question: string, signal?: AbortSignal): Promise<void> {
    if (this.globals.confirm === profile) return
    await confirm(`Profile '${profile}' is protected. ${question}`, this.terminal, { typed: profile, flag: `--confirm ${profile}`, signal })
  }

  /** Asks before what is somebody else's runs. No flag answers it: NSB_TRUST names what is trusted. */
  protected readonly consent: Consent = async (question) =>
    this.terminal.interactive && (await ask({ message: printable(question), kind: 'confirm' }, this.terminal, '')) === true

  /** One question; `flag` names what answers it without a terminal. */
  protected ask(question: Question, flag: string): Promise<string | boolean> {
    return ask(question, this.terminal, flag)
  }

  /** Aborted on Ctrl-C, SIGTERM, a broken pipe and a full disk under the output. A command that reads it is given the time to clean up; a second signal ends it. */
  protected get signal(): AbortSignal {
    return this.#interruption.signal
  }

  /** Nobody reads what would be said. */
  protected get isOutputGone(): boolean {
    return this.#interruption.isOutputGone
  }

  /** The project around the working directory; its warnings are shown once. */
  protected project(): Promise<Project> {
    this.#project ??= findProject(process.cwd(), userConfigFile(process.env), this.consent).then((project) => {
      for (const warning of project.warnings) this.warning(warning)
      return project
    })
    return this.#project
  }

  /**
   * Which transport the flags, the environment and nsb.json choose.
   *
   * @param profile named as an argument, instead of `--profile`
   * @param project default: the one around the working directory
   */
  protected async connection(profile?: Setting<string>, project?: Project): Promise<Connection> {
    const given = (['profile', 'transport', 'connection', 'storage'] as const).flatMap((name) => {
      const value = this.globals[name]
      return value === undefined || value === '' ? [] : [[name, { value, origin: this.originOf(name) }]]
    })
    const fallback = process.env[fallbackVariable]
    const choice: ConnectionChoice = {
      ...Object.fromEntries(given),
      ...(profile && { profile }),
      ...(fallback && { fallback: { value: fallback, origin: fallbackVariable } }),
    }
    return chooseConnection(project ?? (await this.project()), choice, process.cwd())
  }

  /** Where the value of a flag comes from: the command line, or the environment. */
  protected originOf(flag: Sourced): string {
    return this.#given.has(flag) ? `--${flag}` : sources[flag]
  }

  /** What `--timeout` says, in ms. */
  protected get bound(): number {
    return this.globals.timeout ?? timeoutMs
  }

  /** Opens the transport that was chosen; it is closed when the command ends. */
  protected async openTransport({ endpoint, queueType }: TransportChoice = {}): Promise<Transport> {
    const connection = await this.connection()
    this.#broker = connection.broker && connection.profile.value
    const { transport, where, place, identity, subscribersOf } = await openConnection(
      connection,
      await this.project(),
      {
        detail: (text) => this.detail(text),
        warning: (text) => this.warning(text),
        notGivenBack: () => {
          this.#isAllBack = false
        },
      },
      {
        endpoint,
        queueType,
        timeoutMs: this.bound,
        confirmTimeoutMs: endpoint === undefined ? this.bound : undefined,
        interrupted: this.#interruption.interrupted,
      },
    )
    this.where = where
    this.place = place
    this.identity = identity
    this.keepsBodies = connection.keepsBodies
    this.subscribersOf = subscribersOf
    this.atEnd(() => transport.close())
    return transport
  }

  /** The error queues, each once: flag, environment, nsb.json, `error`. */
  protected async errorQueues(): Promise<readonly [string, ...string[]]> {
    const [first, ...further] = this.#namedErrorQueues()
    return first === undefined ? [(await this.project()).endpoint.errorQueue ?? 'error'] : [first, ...further]
  }

  #namedErrorQueues(): readonly string[] {
    // oclif gives one text when the value comes from the environment.
    const names = [this.globals['error-queue'] ?? []].flat().flatMap((name) => name.split(','))
    return [...new Set(names)].filter((name) => name !== '')
  }

  /**
   * The error queue, of a command that works on one.
   *
   * @throws {NsbError} NSB_BAD_FLAG where several are named: none of them is left out unseen
   */
  protected async errorQueue(): Promise<string> {
    const queues = await this.errorQueues()
    const [queue] = queues
    if (queues.length === 1) return queue
    throw new NsbError({
      code: 'NSB_BAD_FLAG',
      message: `This works on one error queue, and ${this.originOf('error-queue')} names ${queues.length}: '${queues.join("', '")}'.`,
      suggestions: [`Name one, and run it once for each: --error-queue ${shellWord(queue)}`],
      details: { queues },
    })
  }

  /** Runs when the command ends, the last one first, whatever happened. */
  protected atEnd(close: () => Promise<void>): void {
    this.#closing.push(close)
  }

  protected override catch(error: Error): Promise<void> {
    if (this.#interruption.isOutputGone) return Promise.resolve()
    const reported = this.#withHints(reportedError(error))
    process.exitCode = reported.exitCode
    if (this.jsonEnabled()) this.logJson(errorDocument(reported))
    else if (this.globals.output === 'ndjson') process.stdout.write(`${printableJson(JSON.stringify(errorDocument(reported)))}\n`)
    process.stderr.write(`${errorLines(reported, this.colour.err, this.verbosity > 1)}\n`)
    return Promise.resolve()
  }

  /** What the error suggests, for where this one was told to look; and how the connection is tested. */
  #withHints(reported: ReportedError): ReportedError {
    const suggestions = reported.suggestions.map((text) =>
      text.replace(commandAtEnd, (_, before: string, command: string) => before + this.placed(command)),
    )
    const isTested = this.#broker !== undefined && isOfConnection(reported.code)
    return { ...reported, suggestions: isTested ? [...suggestions, `nsb profile test ${this.#broker}`] : suggestions }
  }

  protected override async finally(error: Error | undefined): Promise<void> {
    for (const close of this.#closing.toReversed()) await close().catch((problem: unknown) => this.detail(`closing: ${String(problem)}`))
    this.#interruption.stop()
    if (!this.#isAllBack && isMilderThanPartly(process.exitCode)) this.finish(Exit.partly)
    process.exitCode = this.#interruption.exitCode ?? process.exitCode
    await super.finally(error)
  }
}

/** What looks have kept goes at the end of its time with whatever command comes next. */
function forgetOldLooks(): void {
  try {
    removeOldSnapshots(stateFolder(process.env), Date.now())
  } catch {
    // What needs the folder says what is wrong with it.
  }
}
