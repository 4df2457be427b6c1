import { bodyArgs, bodyFlags, bodyInput, headersFrom, typeNameOf } from '../src/cli/body-flags.ts'
import { MessageCommand, type Series } from '../src/cli/message-command.ts'
import type { OutgoingMessage } from '../src/transport/transport.ts'

export default class Publish extends MessageCommand {
  static override summary = 'publish an event to its subscribers'
  static override description =
    `Every endpoint that subscribed to the event, to one of its base classes or to one of its interfaces gets one copy. With the learning
transport nsb says when there is none; RabbitMQ does not tell.

Exit codes: 0 published, 2 nothing was published, 3 only some of several were published, 6 not confirmed (protected profile).`
  static override examples = [
    '<%= config.bin %> publish OrderPlaced --data OrderId=42',
    `<%= config.bin %> publish Shop.OrderPlaced '{"OrderId":"42"}' --dry-run`,
    'cat order-placed.json | <%= config.bin %> publish OrderPlaced -',
    'cat orders.ndjson | <%= config.bin %> publish OrderPlaced --each --rate 50/s',
  ]
  static override args = bodyArgs
  static override flags = bodyFlags

  protected override readonly verb = 'publish'

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Publish)
    const headers = headersFrom(flags.header)
    const project = await this.project()
    const { readMessages } = await import('../src/toolkit/send/message-input.ts')
    const { bodies, dispose, type } = await readMessages(project, {
      name: args.type,
      kind: 'event',
      to: true,
      validate: flags.validate,
      input: () => bodyInput(args.body, flags),
    })
    this.atEnd(dispose)
    const transport = await this.openTransport()
    const { envelopes } = await import('../src/toolkit/send/envelope.ts')
    const envelope = envelopes(project, transport, type, 'Publish')
    const options = {
      headers,
      ...(flags.id !== undefined && { messageId: flags.id }),
      ...(flags.conversation !== undefined && { startNewConversation: flags.conversation }),
    }
    const series: Series = { type, bodies, build: (body) => envelope(body, options) }
    this.warnOfHeaders(headers, series.build(bodies[0] as (typeof bodies)[number]))
    if (flags['dry-run']) return this.shown(series, flags)
    await this.confirmIfProtected()
    const message = series.build(bodies[0] as (typeof bodies)[number])
    const subscribers = await this.#subscribersOf(message)
    if (this.isSeries(flags)) return { ...(await this.sendSeries(transport, series, flags)), subscribers }
    await transport.dispatch([message])
    this.sentNote(type, message)
    this.next('nsb run')
    return { schema: this.schema, messageId: message.id, type: typeNameOf(type), status: 'published', subscribers }
  }

  /** How many queues get a copy; undefined where that cannot be known: a broker drops in silence what nobody wants. */
  async #subscribersOf({ to }: OutgoingMessage): Promise<number | undefined> {
    if (!('event' in to)) return undefined
    const subscribers = await this.subscribersOf?.(to.event)
    if (subscribers?.length === 0)
      this.warning(
        `Nobody has subscribed to ${to.event.fullName}: no endpoint gets it. An endpoint with a handler for it subscribes when it starts.`,
      )
    return subscribers?.length
  }
}
