import { Args } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { queueFields, showQueue } from '../../src/toolkit/queues/queues.ts'

export default class QueuesShow extends BaseCommand {
  static override summary = 'show one queue'
  static override description = `Looks at the queue and touches no message.

Exit codes: 0 shown; 4 there is no such queue; 5 the transport cannot be reached.`
  static override examples = ['<%= config.bin %> queues show error', '<%= config.bin %> queues show error --json']
  static override args = { queue: Args.string({ ignoreStdin: true, required: true, description: 'name of the queue' }) }

  async run(): Promise<unknown> {
    const { args } = await this.parse(QueuesShow)
    const transport = await this.openTransport()
    const fields = queueFields(await showQueue(transport, args.queue, this.where))
    const { profile } = await this.connection()
    const limit = fields.deliveryLimit === 'unlimited' ? 'none' : fields.deliveryLimit
    this.out(printableLine(`${fields.queue} on ${this.where}`))
    for (const [name, value] of [
      ['type', fields.type],
      ['depth', fields.depth],
      ['consumers', fields.consumers ?? 'unknown'],
      ['limit', limit ?? 'unknown'],
    ])
      this.out(`${String(name).padEnd(10)}  ${value}`)
    if ((await this.errorQueues()).includes(fields.queue) && fields.depth > 0) this.next('nsb errors')
    return { schema: 'nsb.queues.show/1', profile: profile.value, ...fields }
  }
}
