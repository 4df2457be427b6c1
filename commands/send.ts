import { Flags } from '@oclif/core'
import { bodyArgs, bodyFlags, bodyInput, headersFrom } from '../src/cli/body-flags.ts'
import { Exit } from '../src/cli/exit-codes.ts'
import { durationFlag } from '../src/cli/global-flags.ts'
import { MessageCommand, type Series } from '../src/cli/message-command.ts'
import { losslessJson } from '../src/cli/lossless-json.ts'
import { printable, printableLine } from '../src/cli/printable.ts'
import { destinationText } from '../src/cli/wire-form.ts'
import type { SendOptions } from '../src/runtime/context.ts'
import { isBrokerQueue } from '../src/toolkit/broker-queue.ts'
import type { Reply, ReplyOutcome } from '../src/toolkit/send/await-reply.ts'
import { parseExpectation, unmet } from '../src/toolkit/send/expectation.ts'
import type { OutgoingMessage, Transport } from '../src/transport/transport.ts'

interface Compared {
  readonly text: string
  readonly actual: string | undefined
}

export default class Send extends MessageCommand {
  static override aliases = ['s']
  static override summary = 'send a command, and wait for its reply if asked to'
  static override description =
    `The type is a full name, or a short one when it is unique in the project. The body is checked against the schema of the type
before anything is sent. The message goes where --to or the routing of nsb.json says, never where it might be guessed.

--await-reply prints the body of the reply on stdout, and everything else on stderr. Such a callback is for data whose loss is
acceptable: who waits is forgotten with the command. Where a reply must not be lost, handle it: a handler for the reply type in an
endpoint that sends the request.

--expect compares as JSON; where the reply is an enum, which travels as its number, a member's name as the project's message files declare
it will do: --expect =Cancelled.

--each reads one message from every line of stdin, and checks all of them before the first is sent. --content-type sends what is no JSON.

Exit codes: 0 sent (and replied), 2 nothing was sent, 3 only some of several were sent, 6 not confirmed (protected profile), 7 no reply in time, 8 the request failed or --expect was not met.`
  static override examples = [
    '<%= config.bin %> send PlaceOrder --data OrderId=42',
    `<%= config.bin %> send PlaceOrder '{"OrderId":"42"}' --to Shop --await-reply`,
    `<%= config.bin %> send PlaceOrder --data OrderId=42 --await-reply --expect '$.OrderId=42'`,
    '<%= config.bin %> send PlaceOrder --data OrderId=42 --dry-run',
    '<%= config.bin %> send PlaceOrder --data OrderId=42 --repeat 20 --rate 10/s',
    'cat orders.ndjson | <%= config.bin %> send PlaceOrder --each',
    '<%= config.bin %> send PlaceOrder --file order.xml --content-type text/xml',
  ]
  static override args = bodyArgs
  static override flags = {
    to: Flags.string({ helpValue: '<queue>', summary: 'address to send to, instead of the routing' }),
    ...bodyFlags,
    delay: durationFlag({ summary: 'deliver that much later', exclusive: ['at'] }),
    at: Flags.string({ helpValue: '<time>', summary: 'deliver at that time: ISO 8601, or the next 18:30' }),
    'await-reply': Flags.boolean({ summary: 'wait for the reply and print it', helpGroup: 'REPLY', exclusive: ['repeat', 'each'] }),
    'reply-timeout': durationFlag({ summary: 'how long to wait (default 30s)', helpGroup: 'REPLY', dependsOn: ['await-reply'] }),
    expect: Flags.string({
      helpValue: '<path[=value]>',
      summary: 'exit 8 unless the reply has that',
      helpGroup: 'REPLY',
      dependsOn: ['await-reply'],
      multiple: true,
      multipleNonGreedy: true,
    }),
  }

  protected override readonly verb = 'send'

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Send)
    const expectations = (flags.expect ?? []).map(parseExpectation)
    const headers = headersFrom(flags.header)
    const at = flags.at === undefined ? undefined : (await import('../src/toolkit/send/pace.ts')).parseMoment(flags.at, new Date())
    if (at !== undefined && at < new Date()) this.warning(`${at.toISOString()} is in the past; the message is delivered at once.`)
    const project = await this.project()
    const { readMessages } = await import('../src/toolkit/send/message-input.ts')
    const { bodies, dispose, enums, known, type } = await readMessages(project, {
      name: args.type,
      kind: 'command',
      to: flags.to !== undefined,
      validate: flags.validate,
      input: () => bodyInput(args.body, flags),
    })
    this.atEnd(dispose)
    const transport = await this.openTransport()
    const { envelopes } = await import('../src/toolkit/send/envelope.ts')
    const envelope = envelopes(project, transport, type, 'Send')
    const options: SendOptions = {
      headers,
      ...(flags.to !== undefined && { destination: flags.to }),
      ...(flags.id !== undefined && { messageId: flags.id }),
      ...(flags.conversation !== undefined && { startNewConversation: flags.conversation }),
      ...(flags.delay !== undefined && { delayDeliveryWith: flags.delay }),
      ...(at !== undefined && { doNotDeliverBefore: at }),
      // An unknown name has no kind that could be broken.
      ...(!known && { doNotEnforceBestPractices: true }),
    }
    const { openUnreadReplies, unreadReplies } = await import('../src/toolkit/send/unread-replies.ts')
    const unread: SendOptions = project.file === undefined || flags['await-reply'] ? {} : { routeReplyTo: unreadReplies }
    const series: Series = { type, bodies, build: (body, extra) => envelope(body, { ...options, ...unread, ...extra }) }
    this.warnOfHeaders(headers, series.build(bodies[0] as (typeof bodies)[number]))
    if (flags['dry-run']) return this.shown(series, flags)
    await this.confirmIfProtected()
    const build = (extra: SendOptions = {}): OutgoingMessage => series.build(bodies[0] as (typeof bodies)[number], extra)
    if (!flags['await-reply']) {
      const message = build()
      await this.#warnAboutDestination(transport, message)
      if (project.file !== undefined) await openUnreadReplies(transport, Date.now())
      if (this.isSeries(flags)) return this.sendSeries(transport, series, flags)
      await transport.dispatch([message])
      this.sentNote(type, message)
      this.next('nsb run', 'nsb errors')
      return { schema: this.schema, messageId: message.id, destination: destinationText(message), status: 'sent' }
    }
    await this.#warnAboutDestination(transport, build())
    const { sendAndAwait } = await import('../src/toolkit/send/await-reply.ts')
    const errorQueue = await this.errorQueue()
    const { message, outcome } = await sendAndAwait(transport, (replyTo) => build({ routeReplyTo: replyTo }), {
      errorQueue,
      timeoutMs: flags['reply-timeout'] ?? 30_000,
      signal: this.signal,
      sent: (sent) => this.sentNote(type, sent),
    })
    return this.#report(message, outcome, errorQueue, (reply) =>
      expectations.map((each) => ({ text: each.text, actual: unmet(each, reply, enums) })),
    )
  }

  override logJson(document: unknown): void {
    process.stdout.write(`${losslessJson(document)}\n`)
  }

  async #warnAboutDestination(transport: Transport, message: OutgoingMessage): Promise<void> {
    if (!('address' in message.to)) return
    const facts = await transport.inspect(message.to.address)
    // A broker refuses what has no queue.
    if (facts === undefined ? !transport.can.lookWithoutTrace : facts.consumers !== 0) return
    const nobody = facts !== undefined && isBrokerQueue(facts) ? 'No endpoint receives now' : 'No endpoint has ever received'
    this.warning(`${nobody} from '${printableLine(message.to.address)}'; the message waits there until one does.`)
  }

  /** @param compared what stands where something else is expected; undefined where it is as expected */
  #report(message: OutgoingMessage, outcome: ReplyOutcome, errorQueue: string, compared: (reply: Reply) => readonly Compared[]): unknown {
    const common = {
      schema: 'nsb.send/1',
      messageId: message.id,
      destination: destinationText(message),
      status: outcome.status,
      latencyMs: outcome.latencyMs,
    }
    if (outcome.status === 'timedOut') {
      const where = {
        waiting: `It still waits in '${printableLine(destinationText(message))}'.`,
        taken: 'An endpoint has taken it; it may still be at work, or be between retries.',
        unknown: '',
      }[outcome.whereabouts]
      this.note(`${this.colour.err.failure('✗')} no reply to ${printableLine(message.id)} after ${outcome.latencyMs} ms. ${where}`)
      if (outcome.noErrorQueue === true)
        this.warning(
          `there is no error queue '${errorQueue}', so a failure of the request would not be seen; name the one of its endpoint: --error-queue <name>`,
        )
      this.next(...(outcome.whereabouts === 'waiting' ? ['nsb run'] : ['nsb errors']))
      this.finish(Exit.timedOut)
      return common
    }
    if (outcome.status === 'failed') {
      const { exceptionMessage, exceptionType, uniqueId } = outcome.failure
      this.note(`${this.colour.err.failure('✗')} the request failed and is in the error queue`)
      this.note(`  ${printableLine(exceptionType)}: ${printableLine(exceptionMessage)}`)
      this.next(`nsb errors show ${uniqueId.slice(0, 8)}`)
      this.finish(Exit.negative)
      return { ...common, failure: outcome.failure }
    }
    const { reply } = outcome
    this.note(
      `${this.colour.err.done('✓')} reply ${printableLine(reply.type ?? reply.text)} from ${printableLine(reply.from ?? '?')} after ${outcome.latencyMs} ms`,
    )
    this.out(printable(reply.text))
    for (const { actual, text } of compared(reply)) {
      if (actual === undefined) continue
      this.note(`${this.colour.err.failure('✗')} expected ${printableLine(text)}, but there is ${printableLine(actual)}`)
      this.finish(Exit.negative)
    }
    return {
      ...common,
      reply: { kind: reply.kind, ...(reply.kind === 'int' ? { value: reply.value } : { body: reply.body }), headers: reply.headers },
    }
  }
}
