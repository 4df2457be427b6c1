import { Flags } from '@oclif/core'
import { ErrorsCommand, maxHoldFlag, pastedId } from '../../src/cli/errors/errors-command.ts'
import { commandNote, eventFields, eventNote, failedLine, messageDocument } from '../../src/cli/errors/watch-report.ts'
import { Exit } from '../../src/cli/exit-codes.ts'
import { durationFlag } from '../../src/cli/global-flags.ts'
import { printableJson } from '../../src/cli/printable.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import { idWord } from '../../src/message/ids.ts'
import { CommandPerMessage } from '../../src/toolkit/errors/watch/command-per-message.ts'
import { type WatchEvent, type WatchOptions, watchFailures } from '../../src/toolkit/errors/watch/watch.ts'

const intervalMs = 5000
const shortestIntervalMs = 100
const bell = '\u0007'

export default class ErrorsWatch extends ErrorsCommand {
  static override summary = 'show failures as they happen, without touching the queue'
  static override description =
    `Shows each failure that comes from now on, one line each, until it is interrupted. Nothing is taken from the error queue, and what ServiceControl consumes from it is shown as well. With --json each line is one JSON document, with the kind of event in the field 'event'.

In RabbitMQ's direct topology, and where the queue has no exchange of its name, a message cannot be seen without taking it: there the depth is shown when it has risen, and with --deep the queue is read then, which the broker may count as a delivery of every message. A queue that a broker does not have is refused, and nothing is made.

--exec runs a command line for each failure, one at a time, with the message as JSON on stdin. What it prints goes to stderr. While 1,000 messages wait for it further ones are shown and not given to it, and that is said.

Exit codes: 0 after --exit-on-first, or when nobody reads the output any more; 2 usage; 3 with --exit-on-first, when its command failed; 4 no such queue; 5 the transport cannot be reached; 130 and 143 interrupted.`
  static override examples = [
    '<%= config.bin %> errors watch --exit-on-first',
    '<%= config.bin %> errors watch --type PlaceOrder --bell',
    '<%= config.bin %> errors watch --error-queue error --error-queue billing.error --json',
    {
      description: 'run a command for each failure, which gets the message on stdin',
      command: "<%= config.bin %> errors watch --exception '*Exception' --exec 'cat >> failures.ndjson'",
    },
  ]
  static override flags = {
    ...selectionFlags,
    interval: durationFlag({
      helpGroup: 'OUTPUT',
      summary: 'how often the depth is looked at (default 5s)',
    }),
    deep: Flags.boolean({ helpGroup: 'ACT', summary: 'read the queue when it has grown, where new messages cannot be seen otherwise' }),
    bell: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'ring the bell of the terminal' }),
    exec: Flags.string({ helpValue: '<command>', helpGroup: 'ACT', summary: 'run it for each failure, with the message as JSON on stdin' }),
    'exit-on-first': Flags.boolean({ helpGroup: 'ACT', summary: 'end with 0 after the first failure that matches' }),
    output: Flags.string({
      char: 'o',
      options: ['table', 'ids', 'json', 'ndjson'],
      helpGroup: 'OUTPUT',
      summary: 'form of the lines; ids: bare ids for pipes',
    }),
    'max-hold': maxHoldFlag,
  }

  readonly #enough = new AbortController()
  #seen = 0
  #last: { readonly errorQueue: string; readonly uniqueId: string } | undefined
  #queues: readonly string[] = []
  #where = { profile: '', transport: '' }
  #command: CommandPerMessage | undefined

  /** A stream has one document a line, in either form. */
  override jsonEnabled(): boolean {
    return super.jsonEnabled() || this.globals.output === 'ndjson'
  }

  override logJson(document: unknown): void {
    process.stdout.write(`${printableJson(JSON.stringify(document))}\n`)
  }

  async run(): Promise<unknown> {
    const { flags } = await this.parse(ErrorsWatch)
    const criteria = await this.criteria(flags)
    this.#queues = await this.errorQueues()
    const transport = await this.openTransport()
    const { profile, transport: kind } = await this.connection()
    this.#where = { profile: profile.value, transport: kind.value }
    const { exec } = flags
    if (exec !== undefined) this.#command = this.#commandOf(exec)
    const options: WatchOptions = {
      queues: this.#queues,
      criteria,
      now: Date.now(),
      intervalMs: Math.max(flags.interval ?? intervalMs, shortestIntervalMs),
      deep: flags.deep,
      needsMessages: exec !== undefined || flags['exit-on-first'] || flags.output === 'ids',
      overrule: this.overrule,
      maxHold: flags['max-hold'],
      signal: AbortSignal.any([this.signal, this.#enough.signal]),
    }
    try {
      await watchFailures(transport, options, (event) => this.#show(event, flags))
      // It was asked for one failure: that one gets its command, whatever time that takes.
      if (!this.signal.aborted) await this.#untilCommandEnds()
    } finally {
      await this.#command?.stop()
    }
    const { counts } = this.#command ?? {}
    if (!this.signal.aborted && (counts?.failed ?? 0) > 0) this.finish(Exit.partly)
    const { failed = 0, run = 0, skipped = 0 } = counts ?? {}
    if (!this.jsonEnabled()) this.note(summaryOf(this.#seen, counts))
    if (this.#last !== undefined) {
      const { errorQueue, uniqueId } = this.#last
      this.next({ command: `nsb errors show ${pastedId(uniqueId)}`, errorQueue }, 'nsb errors')
    }
    return {
      schema: 'nsb.summary/1',
      ...this.queueFields(this.#queues),
      seen: this.#seen,
      ...(counts === undefined ? {} : { commands: { run, failed, skipped } }),
    }
  }

  #untilCommandEnds(): Promise<void> | undefined {
    const { signal } = this
    const interrupted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    return this.#command && Promise.race([this.#command.finish(), interrupted])
  }

  #commandOf(command: string): CommandPerMessage {
    return new CommandPerMessage({
      command,
      ended: (ended) => {
        if (this.jsonEnabled()) this.logJson({ event: 'command', ...ended })
        else if (ended.exitCode === 0) this.detail(commandNote(ended))
        else this.warning(commandNote(ended))
      },
      skipped: (skipped) => {
        if (this.jsonEnabled()) this.logJson({ event: 'skipped', ...skipped })
        const { count, first, last } = skipped
        this.warning(`${count} failure${count === 1 ? '' : 's'} not given to the command (${count === 1 ? first : `${first} to ${last}`})`)
      },
    })
  }

  #show(
    event: WatchEvent,
    flags: { readonly bell: boolean; readonly output?: string | undefined; readonly 'exit-on-first': boolean },
  ): void {
    // What is seen in the same moment as the first one is not shown any more.
    if (this.#enough.signal.aborted) return
    if (this.jsonEnabled()) this.logJson(eventFields(event))
    if (event.kind !== 'failed') return this.#note(event)
    this.#seen++
    this.#last = { errorQueue: event.errorQueue, uniqueId: event.failed.uniqueId }
    if (flags.output === 'ids') this.out(idWord(event.failed.uniqueId))
    else {
      const terminal = process.stdout.isTTY
      const style = { short: terminal, width: terminal ? process.stdout.columns || 80 : undefined, severalQueues: this.#queues.length > 1 }
      this.out(failedLine(event, style))
    }
    if (flags.bell && process.stderr.isTTY) process.stderr.write(bell)
    this.#command?.add(event.failed.uniqueId, () => `${JSON.stringify(messageDocument(event))}\n`)
    if (flags['exit-on-first']) this.#enough.abort()
  }

  #note(event: Exclude<WatchEvent, { kind: 'failed' }>): void {
    const note = eventNote(event, this.#where)
    if (event.kind === 'watching') this.note(this.colour.err.dim(note))
    // Where only depths are seen, they are the result.
    else if (event.kind === 'depth') this.out(note)
    else this.warning(note)
  }
}

function summaryOf(seen: number, counts: CommandPerMessage['counts'] | undefined): string {
  const parts = [`${seen} failure${seen === 1 ? '' : 's'} seen`]
  if (counts !== undefined) parts.push(`command run ${counts.run}, failed ${counts.failed}, skipped ${counts.skipped}`)
  return parts.join(', ')
}
