import { relative } from 'node:path'
import { Args, Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'

export default class Init extends BaseCommand {
  static override summary = 'make a folder a project: nsb.json, package.json, tsconfig.json, src'
  static override description =
    `Writes what is missing and changes nothing that exists: 'same' is what nsb would write anyway, 'keep' is yours.
Asks for the endpoint name and the transport in a terminal; --yes takes the name of the folder and the learning transport. Types below
the endpoint's name are routed to it. --transport rabbitmq adds the profile 'local' for a broker on this machine.

Exit codes: 0 done, 2 wrong name or folder, nothing was written.`
  static override examples = [
    '<%= config.bin %> init shop --yes',
    '<%= config.bin %> init --name Shop.Sales --yes',
    '<%= config.bin %> init shop --transport rabbitmq --yes',
    '<%= config.bin %> init shop --json',
  ]
  static override args = { dir: Args.string({ description: 'folder, made when it is missing', default: '.' }) }
  static override flags = {
    name: Flags.string({ helpValue: '<endpoint>', summary: 'endpoint name (default: from the folder, in PascalCase)' }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Init)
    const { initProject, suggestedEndpoint } = await import('../src/toolkit/init.ts')
    const asks = this.terminal.interactive && flags.yes !== true
    const suggested = suggestedEndpoint(args.dir)
    const endpoint =
      flags.name ?? (asks ? await this.ask({ message: 'Endpoint name', kind: 'input', default: suggested }, '--name') : suggested)
    const transport =
      this.globals.transport ??
      (asks
        ? await this.ask({ message: 'Transport', kind: 'list', choices: ['learning', 'rabbitmq'], default: 'learning' }, '--transport')
        : 'learning')
    const result = await initProject({ folder: args.dir, endpoint: String(endpoint), transport: String(transport) })
    for (const { path, action } of result.files) this.out(`  ${action.padEnd(6)}  ${path}`)
    const into = relative(process.cwd(), result.folder)
    const local = result.profiles.includes('local') ? ['nsb profile use local'] : []
    this.next(...(into === '' ? [] : [`cd ${into}`]), 'npm install', ...local, 'nsb scaffold handler PlaceOrder --replies OrderAccepted')
    return { schema: 'nsb.init/1', ...result }
  }
}
