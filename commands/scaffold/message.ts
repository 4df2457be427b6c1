import { Args, Flags } from '@oclif/core'
import { ScaffoldCommand } from '../../src/cli/scaffold-command.ts'
import type { Project } from '../../src/toolkit/project.ts'

export default class ScaffoldMessage extends ScaffoldCommand {
  static override summary = 'write the declaration of a message'
  static override description =
    `Properties are written Name:type, with a ? for what may be missing. Types are those of C#: string, int, short, byte, long, decimal,
double, float, bool, guid, datetime, datetimeoffset, timespan, bytes, 'enum(Open,Closed)' with members from 0, and lists: int[].
Without any, the message gets one that its name suggests: PlaceOrder has OrderId:string.

Exit codes: 0 written or the same already, 2 nothing was written, 8 written but the type check failed.`
  static override examples = [
    '<%= config.bin %> scaffold message PlaceOrder',
    `<%= config.bin %> scaffold message ShipOrder OrderId:guid Quantity:int 'Note?:string'`,
    '<%= config.bin %> scaffold message OrderPlaced --event --dry-run',
  ]
  static override args = {
    name: Args.string({ required: true, description: 'PlaceOrder, or with a namespace: Shop.Sales.PlaceOrder' }),
    properties: Args.string({ multiple: true, description: 'OrderId:guid' }),
  }
  static override flags = {
    command: Flags.boolean({ summary: 'a command', exclusive: ['event', 'reply'] }),
    event: Flags.boolean({
      summary: 'an event (default when the name says what has happened: OrderPlaced)',
      exclusive: ['command', 'reply'],
    }),
    reply: Flags.boolean({ summary: 'a plain message, what a reply is', exclusive: ['command', 'event'] }),
    namespace: Flags.string({ helpValue: '<Shop.Sales>', summary: 'namespace of the full name (default: the endpoint name)' }),
    dir: Flags.string({ helpValue: '<folder>', summary: 'folder of the file (default: where nsb.json looks for messages)' }),
    js: Flags.boolean({ summary: 'JavaScript instead of TypeScript' }),
    check: Flags.boolean({ allowNo: true, default: true, summary: 'run the type check afterwards' }),
    'dry-run': Flags.boolean({ summary: 'show paths and contents, write nothing' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ScaffoldMessage)
    const project = await this.project()
    const { planMessage } = await import('../../src/toolkit/scaffold/scaffold-message.ts')
    const kind = flags.command ? 'command' : flags.event ? 'event' : flags.reply ? 'reply' : undefined
    const { namespace, dir, js, force } = flags
    const files = await planMessage(project, { name: args.name, properties: args.properties ?? [], kind, namespace, dir, js, force })
    return this.scaffold('nsb.scaffold.message/1', {
      root: project.folder,
      files,
      dryRun: flags['dry-run'],
      check: flags.check && !js ? () => this.#check(project) : undefined,
      next: [`nsb scaffold handler ${args.name}`],
    })
  }

  async #check({ consent, folder }: Project) {
    const { projectStyle } = await import('../../src/toolkit/scaffold/project-style.ts')
    const { checkProject } = await import('../../src/toolkit/scaffold/check.ts')
    return checkProject(folder, { style: await projectStyle(folder, 'ts'), test: undefined, tests: 0 }, consent)
  }
}
