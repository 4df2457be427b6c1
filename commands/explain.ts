import { Args } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.ts'
import { Exit } from '../src/cli/exit-codes.ts'
import { printableLine } from '../src/cli/printable.ts'
import { messageSymbol } from '../src/message/declaration.ts'

export default class Explain extends BaseCommand {
  static override summary = 'show how a type header is mapped, and which handlers would run'
  static override description =
    `Takes the value of NServiceBus.EnclosedMessageTypes: assembly qualified names or full names, separated by ';'. A name is matched by full name and
assembly, then by full name alone, then by alias; version, culture and key token never matter.

Exit codes: 0 mapped, 4 nothing maps, 2 the header cannot be read.`
  static override examples = [
    '<%= config.bin %> explain Shop.PlaceOrder',
    `<%= config.bin %> explain 'Shop.OrderPlaced, Shop.Messages, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null;Shop.IOrderEvent'`,
  ]
  static override args = { header: Args.string({ ignoreStdin: true, required: true, description: 'the type header' }) }

  async run(): Promise<unknown> {
    const { args } = await this.parse(Explain)
    const project = await this.project()
    const { loadProjectCode } = await import('../src/toolkit/project-code.ts')
    const code = await loadProjectCode(project)
    this.atEnd(code.dispose)
    const { explainHeader } = await import('../src/toolkit/explain.ts')
    const explanation = explainHeader(code, args.header)
    await this.table(explanation.entries, [
      { name: 'entry', value: (entry) => entry.entry },
      { name: 'rule', value: (entry) => entry.rule },
      { name: 'type', value: (entry) => entry.type?.[messageSymbol].fullName ?? '–' },
    ])
    this.out('')
    if (explanation.handlers.length === 0) {
      this.out('Nothing maps: the message would go to the error queue at once, without retries.')
      this.next('nsb handlers', `nsb scaffold message ${printableLine(args.header.split(/[,;]/, 1)[0]?.split('.').at(-1) ?? '')}`)
      this.finish(Exit.notFound)
    }
    for (const { handlers, type } of explanation.handlers) {
      const names = handlers.map((handler) => `${handler.name}${handler.file === undefined ? '' : ` (${handler.file})`}`)
      this.out(names.length > 0 ? `${type} → ${names.join(', ')}` : `${type} → no handler: the message fails, and is retried`)
    }
    if (explanation.handlers.length > 1)
      this.out('Several unrelated types: the body is read and dispatched once for each, and every one needs a handler.')
    return {
      schema: 'nsb.explain/1',
      header: args.header,
      entries: explanation.entries.map(({ entry, rule, type }) => ({ entry, rule, ...(type && { type: type[messageSymbol].fullName }) })),
      roots: explanation.handlers.map(({ handlers, type }) => ({ type, handlers: handlers.map(({ file, name }) => ({ name, file })) })),
    }
  }
}
