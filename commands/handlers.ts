import { Args } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { enterFolder } from '../src/cli/enter-folder.ts'
import { printableLine } from '../src/cli/printable.ts'
import { definitionOf } from '../src/message/declaration.ts'
import type { SharedType } from '../src/toolkit/shared-types.ts'

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
Handlers that share a message type are one unit: when one fails, nothing of the others is sent, and on a retry all of them run again.

Exit codes: 0 listed, 2 something is wrong with the code.`
  static override examples = ['<%= config.bin %> handlers', '<%= config.bin %> handlers shop', '<%= config.bin %> handlers --json']
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
    const { sharedTypes } = await import('../src/toolkit/shared-types.ts')
    const handlers = registerHandlers([...(code.definition.first ?? []), ...code.definition.handlers], { files: code.files })
    const rows = handlers.map(
      ({ file, handles, name }): Row => ({ type: handles.fullName, kind: handles.kind, handler: name, file: file ?? '' }),
    )
    const shared = sharedTypes(
      handlers,
      code.messages.flatMap((type) => definitionOf(type) ?? []),
    )
    await this.table(rows, [
      { name: 'type', value: (row) => row.type },
      { name: 'kind', value: (row) => row.kind },
      { name: 'handler', value: (row) => row.handler },
      { name: 'file', value: (row) => row.file },
    ])
    if (shared.length > 0) this.#warnAbout(shared)
    this.next('nsb run')
    return { schema: 'nsb.handlers/1', endpoint: code.definition.name, items: rows, shared }
  }

  #warnAbout(shared: readonly SharedType[]): void {
    for (const { handlers, type } of shared)
      this.warning(
        printableLine(`${type} runs ${handlers.length} handlers as one unit (${handlers.join(', ')}): when one fails, all run again.`),
      )
    this.note('  To let them fail and be retried alone:')
    this.note(
      '  - split at the destination: one handler sends a local message for each task (context.sendLocal), and each task has its handler',
    )
    this.note('  - split at the source: the sender sends one message type for each handler')
    if (shared.some(({ kind }) => kind === 'event'))
      this.note('  - or host them in endpoints of their own: every subscribed endpoint gets its copy of an event')
  }
}
