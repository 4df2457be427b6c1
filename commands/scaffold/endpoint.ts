import { relative } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { ScaffoldCommand } from '../../src/cli/scaffold-command.ts'

export default class ScaffoldEndpoint extends ScaffoldCommand {
  static override summary = 'write a package that runs: project files, a message, a handler and a test'
  static override description =
    `The package gets a folder of its own below the working directory. Files of a project that is there already (package.json, tsconfig.json,
nsb.json) stay as they are, and the code follows them. A storage folder is made unless one is found above.

Exit codes: 0 written or the same already, 2 nothing was written, 8 written but the type check or the test failed.`
  static override examples = [
    '<%= config.bin %> scaffold endpoint Shop.Billing',
    '<%= config.bin %> scaffold endpoint Billing --message BillOrder --no-check',
    '<%= config.bin %> scaffold endpoint Shop.Billing --dir services/billing --dry-run',
  ]
  static override args = {
    name: Args.string({ required: true, description: 'endpoint name, such as Shop.Billing' }),
    properties: Args.string({ multiple: true, description: 'properties of the message: OrderId:guid; see scaffold message' }),
  }
  static override flags = {
    message: Flags.string({ default: 'Ping', helpValue: '<Name>', summary: 'the message its handler is for' }),
    dir: Flags.string({ helpValue: '<folder>', summary: 'folder of the package (default: the name, as shop-billing)' }),
    check: Flags.boolean({ allowNo: true, default: true, summary: 'run the type check and the test afterwards' }),
    'dry-run': Flags.boolean({ summary: 'show paths and contents, write nothing' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ScaffoldEndpoint)
    const { planEndpoint } = await import('../../src/toolkit/scaffold/scaffold-endpoint.ts')
    const { message, dir, force } = flags
    const plan = await planEndpoint(process.cwd(), { name: args.name, properties: args.properties ?? [], message, dir, force })
    const { checkProject } = await import('../../src/toolkit/scaffold/check.ts')
    const into = relative(process.cwd(), plan.folder)
    const send = plan.example && ['nsb send', plan.example.type, ...plan.example.data.flatMap((data) => ['--data', data])].join(' ')
    return this.scaffold('nsb.scaffold.endpoint/1', {
      root: plan.folder,
      files: plan.files,
      dryRun: flags['dry-run'],
      check: flags.check ? () => checkProject(plan.folder, plan, this.consent) : undefined,
      next: [...(into === '' ? [] : [`cd ${into}`]), 'npm install', 'nsb run --watch --no-retries', ...(send === undefined ? [] : [send])],
    })
  }
}
