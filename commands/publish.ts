import { BaseCommand } from '../src/cli/base-command.ts'
import { bodyArgs, bodyFlags, bodySources, headersFrom, typeNameOf } from '../src/cli/body-flags.ts'
import { printableLine } from '../src/cli/printable.ts'
import { destinationText, wireDocument, wireForm } from '../src/cli/wire-form.ts'

export default class Publish extends BaseCommand {
  static override summary = 'publish an event to its subscribers'
  static override description =
    `Every endpoint that subscribed to the event, to one of its base classes or to one of its interfaces gets one copy.

Exit codes: 0 published, 2 nothing was published.`
  static override examples = [
    '<%= config.bin %> publish OrderPlaced --data OrderId=42',
    `<%= config.bin %> publish Shop.OrderPlaced '{"OrderId":"42"}' --dry-run`,
    'cat order-placed.json | <%= config.bin %> publish OrderPlaced -',
  ]
  static override args = bodyArgs
  static override flags = bodyFlags

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Publish)
    const headers = headersFrom(flags.header)
    const project = await this.project()
    const { readMessage } = await import('../src/toolkit/send/message-input.ts')
    const { body, dispose, type } = await readMessage(project, {
      name: args.type,
      kind: 'event',
      to: true,
      validate: flags.validate,
      sources: () => bodySources(args.body, flags),
    })
    this.atEnd(dispose)
    const transport = await this.openTransport()
    const { envelope } = await import('../src/toolkit/send/envelope.ts')
    const message = envelope(project, transport, type, body, 'Publish', { headers, ...(flags.id !== undefined && { messageId: flags.id }) })
    if (flags['dry-run']) {
      this.out(wireForm(message))
      this.note('Nothing was published (--dry-run).')
      return { schema: 'nsb.publish/1', dryRun: true, ...wireDocument(message) }
    }
    await transport.dispatch([message])
    this.note(
      `${this.colour.err.done('✓')} published ${printableLine(typeNameOf(type))} ${message.id.slice(0, 8)} to ${printableLine(destinationText(message))}`,
    )
    this.next('nsb run')
    return { schema: 'nsb.publish/1', messageId: message.id, type: typeNameOf(type), status: 'published' }
  }
}
