import { Flags } from '@oclif/core'
import { NsbError } from '../../src/message/nsb-error.ts'
import type { Classifier } from '../../src/toolkit/errors/select/group.ts'
import ErrorsGroups from './groups.ts'

/** `nsb errors` alone. */
export default class Errors extends ErrorsGroups {
  static override summary = 'failed messages by group, and what to do with them; the place to start'
  static override description =
    `Shows the groups of errors groups, and what to do next. With --interactive it leads through them: look at samples, see what a replay would do, replay one message and wait for its outcome, replay the rest, or archive it. Nothing is held while it asks, and every step that changes something is asked for.

Exit codes: 0 done, also when the queue is empty; 2 usage, or no terminal to ask in; 4 a group is unknown, or the error queue does not exist, which is not an empty one; 5 the transport cannot be reached; 6 refused by a safety rule; 130 left with Ctrl-C.`
  static override examples = [
    '<%= config.bin %> errors',
    '<%= config.bin %> errors --by type',
    '<%= config.bin %> errors --interactive',
    '<%= config.bin %> errors --json',
  ]
  // The help collects them only up to a class that has no such properties of its own, and there is one between.
  static override baseFlags = ErrorsGroups.baseFlags
  static override enableJsonFlag = ErrorsGroups.enableJsonFlag
  static override flags = {
    ...ErrorsGroups.flags,
    interactive: Flags.boolean({
      char: 'i',
      helpGroup: 'ACT',
      summary: 'choose a group and what to do with it',
      // `exclusive` would make the usage line say that each of them excludes the others.
      relationships: [{ type: 'none', flags: ['json', 'output', 'columns', 'sort', 'top'] }],
    }),
  }

  override async run(): Promise<unknown> {
    const { flags } = await this.parse(Errors)
    if (!flags.interactive) return this.showGroups(flags)
    if (!this.terminal.interactive)
      throw new NsbError({
        code: 'NSB_NEEDS_INPUT',
        message: '--interactive asks questions, and nobody can be asked here.',
        suggestions: ['nsb errors', 'nsb errors replay --group <id> --limit 1 --wait --yes'],
        details: { flag: '--interactive' },
      })
    // Most who ask for the groups want no more than that.
    const { talkAboutErrors } = await import('../../src/cli/errors/interactive.ts')
    const queue = await this.errorQueue()
    const criteria = await this.criteria(flags)
    const { redirects } = await this.project()
    const transport = await this.openTransport()
    await talkAboutErrors({
      transport,
      queue,
      criteria,
      by: flags.by as Classifier,
      signal: this.signal,
      colours: this.colour,
      browse: (about, cached) => this.browseOptions(queue, about, flags['max-hold'], cached && !flags.refresh),
      replayOptions: (about, limit) => ({
        ...this.browseOptions(queue, about, flags['max-hold']),
        all: false,
        to: undefined,
        redirects,
        limit,
        newest: false,
      }),
      journalPlace: () => this.journalled(),
      beforeChange: async () => {
        await this.noteOpenOperations(queue)
        await this.forgetSnapshot(queue)
      },
      placed: (command) => this.placed(command),
      confirm: (question, confirmation) => this.confirm(question, confirmation),
      out: (text) => this.out(text),
      note: (text) => this.note(text),
      warning: (text) => this.warning(text),
    })
    return undefined
  }

  protected override nextCommands(group: string): readonly string[] {
    return [...super.nextCommands(group), ...(this.terminal.interactive ? ['nsb errors --interactive'] : [])]
  }
}
