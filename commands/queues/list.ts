import { BaseCommand } from '../../src/cli/base-command.ts'
import { listingFlags } from '../../src/cli/global-flags.ts'
import { listQueues, queueFields } from '../../src/toolkit/queues/queues.ts'

export default class QueuesList extends BaseCommand {
  static override summary = 'list the queues: kind, messages waiting, consumers, delivery limit'
  static override description =
    `The delivery limit is how often a message may be given back before the broker drops it; a look gives back what it shows. What is not
known is left out. On RabbitMQ the names come from the management API.

Exit codes: 0 done, also when there is no queue; 5 the transport or the management API cannot be reached.`
  static override examples = [
    '<%= config.bin %> queues list',
    '<%= config.bin %> queues list --sort -depth --output csv',
    '<%= config.bin %> queues list --output ids',
    '<%= config.bin %> queues list --json',
  ]
  static override flags = listingFlags

  async run(): Promise<unknown> {
    const { flags } = await this.parse(QueuesList)
    const transport = await this.openTransport()
    const items = (await listQueues(transport)).map(queueFields)
    const { profile } = await this.connection()
    const summary = { profile: profile.value, total: items.length }
    const sorted = await this.list(
      items,
      [
        { name: 'queue', value: (item) => item.queue },
        { name: 'type', value: (item) => item.type },
        { name: 'depth', value: (item) => item.depth, align: 'right' },
        { name: 'consumers', value: (item) => item.consumers, align: 'right' },
        { name: 'limit', value: (item) => (item.deliveryLimit === 'unlimited' ? 'none' : item.deliveryLimit), align: 'right' },
      ],
      flags,
      { id: (item) => item.queue, fields: (item) => item, summary },
    )
    if (items.length === 0) this.note(`there is no queue on ${this.where}`)
    return { schema: 'nsb.queues.list/1', ...summary, items: sorted }
  }
}
