import type { MessageType } from '../message/declaration.ts'
import { Header } from '../message/headers.ts'
import type { SendOptions } from '../runtime/context.ts'
import type { MessageBody } from '../toolkit/send/envelope.ts'
import type { OutgoingMessage, Transport } from '../transport/transport.ts'
import { BaseCommand } from './base-command.ts'
import { typeNameOf } from './body-flags.ts'
import { Exit } from './exit-codes.ts'
import { printableLine } from './printable.ts'
import { Progress } from './progress.ts'
import { errorDocument, reportedError } from './report-error.ts'
import { destinationText, wireDocument, wireForm } from './wire-form.ts'

/** Values of the flags that send several messages. */
interface SeriesChoice {
  readonly repeat?: number | undefined
  readonly each?: boolean
  readonly rate?: string | undefined
  readonly output?: string | undefined
}

/** What is sent, and how one message of it is built. */
export interface Series {
  readonly type: MessageType
  readonly bodies: readonly MessageBody[]
  readonly build: (body: MessageBody, extra?: SendOptions) => OutgoingMessage
}

/** Headers with a flag of their own. */
const flagOf: Readonly<Record<string, string>> = { [Header.MessageId]: '--id', [Header.ContentType]: '--content-type' }

/** What `send` and `publish` share. */
export abstract class MessageCommand extends BaseCommand {
  /** `send`: how the schema is called. */
  protected abstract readonly verb: 'send' | 'publish'

  protected isSeries(flags: SeriesChoice): boolean {
    return flags.repeat !== undefined || flags.each === true || flags.output === 'ndjson' || flags.output === 'ids'
  }

  protected get schema(): string {
    return `nsb.${this.verb}/1`
  }

  readonly #past = { send: 'sent', publish: 'published' } as const

  protected sentNote(type: MessageType, message: OutgoingMessage): void {
    this.note(
      `${this.colour.err.done('✓')} ${this.#past[this.verb]} ${printableLine(typeNameOf(type))} ${printableLine(message.id.slice(0, 8))} to ${printableLine(destinationText(message))}`,
    )
  }

  /** Nothing that was asked for is left out in silence. */
  protected warnOfHeaders(given: Readonly<Record<string, string>>, { headers }: OutgoingMessage): void {
    for (const [name, value] of Object.entries(given)) {
      if (headers[name] === value) continue
      const flag = Object.hasOwn(flagOf, name) ? flagOf[name] : undefined
      this.warning(`--header ${name} has no effect: a sender decides that itself${flag === undefined ? '' : `; ${flag} sets it`}`)
    }
  }

  /** A protected profile wants its name, for sending as for every change. @throws {NsbError} NSB_NEEDS_CONFIRMATION, NSB_NOT_CONFIRMED */
  protected async confirmIfProtected(): Promise<void> {
    const { protect } = await this.connection()
    if (protect) await this.confirm(`This will ${this.verb} to it.`)
  }

  /** `--dry-run`: the complete wire form of every message. */
  protected shown({ bodies, build }: Series, { each, repeat }: SeriesChoice): unknown {
    const messages = bodies.map((body) => build(body))
    this.out(messages.map(wireForm).join('\n\n'))
    if (repeat !== undefined) this.note(`The same ${repeat} times, with new ids.`)
    this.note(`Nothing was ${this.#past[this.verb]} (--dry-run).`)
    const documents = messages.map(wireDocument)
    return { schema: this.schema, dryRun: true, ...(each === true ? { items: documents } : documents[0]) }
  }

  /** Sends all of a series; what is wrong with the first message is found before anything is sent. */
  protected async sendSeries(transport: Transport, { bodies, build, type }: Series, flags: SeriesChoice): Promise<object> {
    const { parseRate } = await import('../toolkit/send/pace.ts')
    const { sendSeveral } = await import('../toolkit/send/send-several.ts')
    const count = flags.repeat ?? bodies.length
    const bodyAt = (index: number): MessageBody => bodies[flags.repeat === undefined ? index : 0] as MessageBody
    const quiet = this.globals['no-progress'] === true || this.globals.quiet === true || process.env['CI'] !== undefined
    const progress = new Progress({ write: (text) => process.stderr.write(text), terminal: process.stderr.isTTY, now: Date.now })
    const doing = this.verb === 'send' ? 'sending' : 'publishing'
    const { problem, sent } = await sendSeveral(transport, count, (index) => build(bodyAt(index)), {
      perSecond: flags.rate === undefined ? undefined : parseRate(flags.rate),
      signal: this.signal,
      progress: (done) => quiet || progress.show({ doing, done, of: count, failed: 0 }),
    })
    progress.end()
    if (problem !== undefined && sent.length === 0) throw problem
    const items = sent.map((message, index) => {
      const body = bodyAt(index)
      return { messageId: message.id, ...(body.kind === 'value' && body.line !== undefined && { line: body.line }) }
    })
    const destination = destinationText(build(bodyAt(0)))
    const name = typeNameOf(type)
    this.note(
      `${this.colour.err.done('✓')} ${this.#past[this.verb]} ${sent.length} ${printableLine(name)} to ${printableLine(destination)}`,
    )
    if (problem !== undefined) {
      const stopped = bodyAt(sent.length)
      const where = stopped.kind === 'value' && stopped.line !== undefined ? ` from line ${stopped.line} on` : ''
      this.note(`${this.colour.err.failure('✗')} ${count - sent.length} not sent${where}: ${printableLine(reportedError(problem).message)}`)
      this.finish(Exit.partly)
    }
    const failure = problem === undefined ? {} : { notSent: count - sent.length, ...errorOf(problem) }
    if (flags.output === 'ids') for (const { messageId } of items) this.out(messageId)
    if (flags.output === 'ndjson') {
      for (const item of items) this.out(JSON.stringify(item))
      this.out(JSON.stringify({ schema: 'nsb.summary/1', type: name, destination, sent: sent.length, ...failure }))
    }
    return { schema: this.schema, type: name, destination, status: this.#past[this.verb], sent: sent.length, ...failure, items }
  }
}

function errorOf(problem: unknown): object {
  const { error } = errorDocument(reportedError(problem)) as { readonly error: object }
  return { error }
}
