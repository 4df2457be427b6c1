import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../../src/cli/base-command.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import { checkEndpointName } from '../../src/toolkit/init.ts'
import { createQueues } from '../../src/toolkit/queues/queues.ts'

export default class QueuesCreate extends BaseCommand {
  static override summary = 'make queues, as endpoints make them at their start'
  static override description =
    `Without a name: the queue of the endpoint in nsb.json, its error queue and its audit queue. What exists stays as it is. On
RabbitMQ the exchanges of the topology and of delayed messages are made along.

Exit codes: 0 there now; 2 wrong name, or the queue exists with other properties; 5 the transport cannot be reached, or does not permit it;
6 the profile is protected and was not confirmed.`
  static override examples = [
    '<%= config.bin %> queues create',
    '<%= config.bin %> queues create Billing',
    '<%= config.bin %> queues create Billing Shipping --endpoint --json',
  ]
  static override args = { queues: Args.string({ multiple: true, ignoreStdin: true, description: 'names of the queues' }) }
  static override flags = {
    endpoint: Flags.boolean({ summary: 'the error queue and the audit queue too' }),
    'queue-type': Flags.string({
      options: ['quorum', 'classic'],
      summary: 'kind of the queues on RabbitMQ (default: of the profile, else quorum)',
    }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(QueuesCreate)
    const { endpoint } = await this.project()
    const named = args.queues ?? []
    const receiving = named.length > 0 ? [...new Set(named)] : endpoint.name === undefined ? [] : [endpoint.name]
    if (receiving.length === 0)
      throw new NsbError({
        code: 'NSB_BAD_ARGUMENTS',
        message: 'No queue is named, and nsb.json names no endpoint.',
        suggestions: ['nsb queues create <name>'],
      })
    for (const queue of receiving) checkEndpointName(queue)
    const { broker, profile, protect } = await this.connection()
    if (flags['queue-type'] !== undefined && broker === undefined)
      throw new NsbError({
        code: 'NSB_CONFLICTING_OPTIONS',
        message: '--queue-type is for RabbitMQ, and the transport is another one.',
        suggestions: ['Leave it out, or name a RabbitMQ profile: -p <name>'],
      })
    if (protect) await this.confirm(`Make ${receiving.length === 1 ? `queue ${receiving[0]}` : `${receiving.length} queues`}?`)

    const all = named.length === 0 || flags.endpoint
    const sending = all ? [...(await this.errorQueues()), ...(endpoint.auditQueue === undefined ? [] : [endpoint.auditQueue])] : []
    const transport = await this.openTransport({ queueType: flags['queue-type'] as 'quorum' | 'classic' | undefined })
    const items = await createQueues(transport, receiving, sending)
    for (const { action, queue } of items) this.out(`  ${action.padEnd(6)}  ${printableLine(queue)}`)
    this.next('nsb queues list')
    return { schema: 'nsb.queues.create/1', profile: profile.value, items }
  }
}
