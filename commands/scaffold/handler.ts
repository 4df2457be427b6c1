import { Args, Flags } from '@oclif/core'
import { ScaffoldCommand } from '../../src/cli/scaffold-command.ts'
import { NsbError } from '../../src/message/nsb-error.ts'
import type { HandlerPlan } from '../../src/toolkit/scaffold/scaffold-handler.ts'

export default class ScaffoldHandler extends ScaffoldCommand {
  static override summary = 'write a handler with its test, and the messages it needs'
  static override description =
    `A message that is declared already is imported from where it is; a missing one is declared too, with the properties given or one that its
name suggests. All files are written or none; a file with other content is a conflict.

Exit codes: 0 written or the same already, 2 nothing was written, 8 written but the type check or the test failed.`
  static override examples = [
    '<%= config.bin %> scaffold handler PlaceOrder --replies OrderAccepted',
    '<%= config.bin %> scaffold handler ShipOrder OrderId:guid Quantity:int --dry-run',
    '<%= config.bin %> scaffold handler OrderPlaced --for OrderCancelled --no-test',
  ]
  static override args = {
    message: Args.string({ required: true, description: 'PlaceOrder, or with a namespace: Shop.Sales.PlaceOrder' }),
    properties: Args.string({ multiple: true, description: 'OrderId:guid; see scaffold message' }),
  }
  static override flags = {
    for: Flags.string({ helpValue: '<A,B>', summary: 'further message types of the same handler' }),
    replies: Flags.string({ helpValue: '<Type>', summary: 'message it replies with' }),
    namespace: Flags.string({ helpValue: '<Shop.Sales>', summary: 'namespace of new messages (default: the endpoint name)' }),
    dir: Flags.string({ helpValue: '<folder>', summary: 'folder of the handler (default: where nsb.json looks for handlers)' }),
    js: Flags.boolean({ summary: 'JavaScript instead of TypeScript' }),
    test: Flags.boolean({ allowNo: true, default: true, summary: 'write a test' }),
    check: Flags.boolean({ allowNo: true, default: true, summary: 'run the type check and the test afterwards' }),
    'dry-run': Flags.boolean({ summary: 'show paths and contents, write nothing' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ScaffoldHandler)
    const project = await this.project()
    const { planHandler } = await import('../../src/toolkit/scaffold/scaffold-handler.ts')
    const { replies, namespace, dir, js, test, force } = flags
    const also = flags.for?.split(',').filter((name) => name !== '') ?? []
    const plan = await planHandler(project, {
      message: args.message,
      properties: args.properties ?? [],
      also,
      replies,
      namespace,
      dir,
      js,
      test,
      force,
    })
    const { checkProject } = await import('../../src/toolkit/scaffold/check.ts')
    return this.scaffold('nsb.scaffold.handler/1', {
      root: project.folder,
      files: plan.files,
      dryRun: flags['dry-run'],
      confirm: () => this.#askForMessages(plan),
      warnings: plan.warnings,
      check: flags.check ? () => checkProject(project.folder, plan, project.consent) : undefined,
      next: ['nsb run --watch --no-retries', ...sendHint(plan, replies !== undefined)],
    })
  }

  async #askForMessages({ newMessages }: HandlerPlan): Promise<void> {
    if (newMessages.length === 0 || !this.terminal.interactive || this.globals.yes === true) return
    const names = newMessages.map((name) => `'${name}'`).join(' and ')
    const [are, them] = newMessages.length === 1 ? ['is', 'it'] : ['are', 'them']
    const question = { message: `${names} ${are} not declared yet. Declare ${them} too?`, kind: 'confirm', default: true } as const
    if ((await this.ask(question, '--yes')) !== true)
      throw new NsbError({ code: 'NSB_NOT_CONFIRMED', message: 'Not confirmed; nothing was done.' })
  }
}

function sendHint({ example }: HandlerPlan, replies: boolean): readonly string[] {
  if (!example) return []
  return [['nsb send', example.type, ...example.data.flatMap((data) => ['--data', data]), ...(replies ? ['--await-reply'] : [])].join(' ')]
}
