import { Args, Flags } from '@oclif/core'
import { ScaffoldCommand } from '../../src/cli/scaffold-command.ts'

export default class ScaffoldTest extends ScaffoldCommand {
  static override summary = 'write a test for a handler that is there already'
  static override description = `The test is written beside the handler, with one case for every message type it handles.

Exit codes: 0 written or the same already, 2 nothing was written, 8 written but the type check or the test failed.`
  static override examples = [
    '<%= config.bin %> scaffold test PlaceOrderHandler',
    '<%= config.bin %> scaffold test PlaceOrder --dry-run',
    '<%= config.bin %> scaffold test PlaceOrderHandler --no-check --json',
  ]
  static override args = {
    handler: Args.string({ required: true, description: 'class name of the handler, with or without Handler at its end' }),
  }
  static override flags = {
    check: Flags.boolean({ allowNo: true, default: true, summary: 'run the type check and the test afterwards' }),
    'dry-run': Flags.boolean({ summary: 'show path and content, write nothing' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ScaffoldTest)
    const project = await this.project()
    const { planTest } = await import('../../src/toolkit/scaffold/scaffold-test.ts')
    const plan = await planTest(project, args.handler, flags.force)
    const { checkProject } = await import('../../src/toolkit/scaffold/check.ts')
    return this.scaffold('nsb.scaffold.test/1', {
      root: project.folder,
      files: plan.files,
      dryRun: flags['dry-run'],
      check: flags.check ? () => checkProject(project.folder, plan, project.consent) : undefined,
      next: [],
    })
  }
}
