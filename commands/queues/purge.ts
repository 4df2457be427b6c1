import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { checkPurge } from '../../src/toolkit/queues/queues.ts'

/** From here on the count is typed instead of y. */
const typedAbove = 100

export default class QueuesPurge extends BaseCommand {
  static override summary = 'remove what waits in a queue, for good'
  static override description =
    `Asks first, and wants the count typed above ${typedAbove}. What is in the hands of a consumer stays, so a queue with a consumer is refused
without --force.

Exit codes: 0 the queue was empty or is now; 4 there is no such queue; 5 the transport cannot be reached; 6 not confirmed, or the queue has
a consumer.`
  static override examples = ['<%= config.bin %> queues purge error --yes', '<%= config.bin %> queues purge error --yes --json']
  static override args = { queue: Args.string({ ignoreStdin: true, required: true, description: 'name of the queue' }) }

  async run(): Promise<unknown> {
    const { args } = await this.parse(QueuesPurge)
    const transport = await this.openTransport()
    const overrule = this.globals.force === true ? ['NSB_QUEUE_HAS_CONSUMER'] : []
    const { depth } = await checkPurge(transport, args.queue, this.where, overrule)
    const { profile } = await this.connection()
    const name = printableLine(args.queue)
    let removed = 0
    if (depth === 0) this.note(`nothing waits in ${name}`)
    else {
      const question = `Remove ${depth} message${depth === 1 ? '' : 's'} from ${name} on ${this.where}, for good?`
      await this.confirm(question, { typed: depth > typedAbove ? String(depth) : undefined })
      removed = await transport.purge(args.queue)
      this.note(`${this.colour.err.done('✓')} removed ${removed} from ${name}`)
    }
    return { schema: 'nsb.queues.purge/1', profile: profile.value, queue: args.queue, removed }
  }
}
