import { Args } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { enterFolder } from '../src/cli/enter-folder.ts'

interface Row {
  readonly type: string
  readonly kind: string
  readonly handler: string
  readonly file: string
}

export default class Handlers extends BaseCommand {
  static override summary = 'list which handler runs for which message type, in which order'
  static override description =
    `The order is the order of execution: file path, then the order in the source file, then the order in 'handles'.

Exit codes: 0 listed, 2 something is wrong with the code.`
  static override examples = ['<%= config.bin %> handlers', '<%= config.bin %> handlers shop --json']
  static override args = {
    dir: Args.string({ ignoreStdin: true, description: 'folder of the endpoint (default: the project around the working directory)' }),
  }

  async run(): Promise<unknown> {
    const { args } = await this.parse(Handlers)
    if (args.dir !== undefined) enterFolder(args.dir)
    const project = await this.project()
    const { loadProjectCode, requireHandlers } = await import('../src/toolkit/project-code.ts')
    const code = await loadProjectCode(project)
    this.atEnd(code.dispose)
    requireHandlers(code, project)
    const { registerHandlers } = await import('../src/runtime/handlers.ts')
    const rows = registerHandlers([...(code.definition.first ?? []), ...code.definition.handlers], { files: code.files }).map(
      ({ file, handles, name }): Row => ({ type: handles.fullName, kind: handles.kind, handler: name, file: file ?? '' }),
    )
    await this.table(rows, [
      { name: 'type', value: (row) => row.type },
      { name: 'kind', value: (row) => row.kind },
      { name: 'handler', value: (row) => row.handler },
      { name: 'file', value: (row) => row.file },
    ])
    this.next('nsb run')
    return { schema: 'nsb.handlers/1', endpoint: code.definition.name, items: rows }
  }
}
