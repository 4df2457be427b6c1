import { Args, Flags } from '@oclif/core'
import { ErrorsCommand, maxHoldFlag, shortId } from '../../src/cli/errors/errors-command.ts'
import { replayDocument, replayExitCode, targetLine } from '../../src/cli/errors/replay-report.ts'
import { durationFlag } from '../../src/cli/global-flags.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { Progress } from '../../src/cli/progress.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import { withWaitValue } from '../../src/cli/errors/wait-flag.ts'
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import { type ReplayOptions, type ReplayPlan, planReplay } from '../../src/toolkit/errors/plan.ts'
import { type ReplayReport, replay } from '../../src/toolkit/errors/replay.ts'
import { NsbError } from '../../src/message/nsb-error.ts'

const mostWithoutTyping = 100

export default class ErrorsReplay extends ErrorsCommand {
  static override summary = 'send failed messages back to where they failed'
  static override description =
    `Sends a copy of each selected message to the queue it failed in (or --to, or the redirect in nsb.json), oldest first, and removes it from the error queue when the copy is safe. A crash may send up to --window messages twice and loses none. What cannot be sent stays in the error queue.

Exit codes: 0 all done; 2 usage, or nothing selected; 3 some were not sent; 4 nothing matched; 5 the transport cannot be reached; 6 not confirmed, or refused by a safety rule; 7 with --wait, some did not answer in time; 8 with --wait, some failed again.`
  static override aliases = ['errors:retry']
  static override examples = [
    '<%= config.bin %> errors replay acc35ddb --wait',
    '<%= config.bin %> errors replay --type FailingOrder --until 1m --dry-run',
    '<%= config.bin %> errors replay --group ac70 --limit 1 --wait',
    '<%= config.bin %> errors replay --all --yes --json',
    '<%= config.bin %> errors list -o ids | <%= config.bin %> errors replay --from - --yes',
  ]
  static override args = { ids: Args.string({ multiple: true, ignoreStdin: true, description: 'ids, at least 4 characters of each' }) }
  static override flags = {
    ...selectionFlags,
    all: Flags.boolean({ helpGroup: 'SELECT', summary: 'every failure; needed without any criterion' }),
    limit: Flags.integer({ min: 1, helpValue: '<n>', helpGroup: 'SELECT', summary: 'at most so many' }),
    newest: Flags.boolean({ helpGroup: 'SELECT', summary: 'take the newest first instead of the oldest' }),
    to: Flags.string({ helpValue: '<queue>', helpGroup: 'ACT', summary: 'send them there instead' }),
    'dry-run': Flags.boolean({ helpGroup: 'ACT', summary: 'show what would be sent where, and whether the queues exist; change nothing' }),
    wait: durationFlag({ helpGroup: 'ACT', helpValue: '60s', summary: 'wait for the outcome of each message; --wait alone waits 60s' }),
    'on-error': Flags.string({
      options: ['continue', 'stop'],
      default: 'continue',
      helpGroup: 'ACT',
      summary: 'after a message that could not be sent',
    }),
    window: Flags.integer({
      min: 1,
      default: 50,
      helpValue: '<n>',
      helpGroup: 'ACT',
      summary: 'messages sent and not yet removed at once',
    }),
    'keep-ack': Flags.boolean({ helpGroup: 'ACT', summary: "keep ServiceControl's acknowledgement address; its queue must exist" }),
    'same-native-id': Flags.boolean({ helpGroup: 'ACT', summary: 'keep the native message id' }),
    'max-hold': maxHoldFlag,
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsReplay, withWaitValue(this.argv))
    const [queue] = await this.errorQueues()
    const project = await this.project()
    const criteria = await this.criteria(flags, args.ids ?? [])
    const options: ReplayOptions = {
      ...this.browseOptions(queue, criteria, flags['max-hold']),
      all: flags.all,
      to: flags.to,
      redirects: project.redirects,
      limit: flags.limit,
      newest: flags.newest,
    }
    const transport = await this.openTransport()
    const plan = await planReplay(transport, options)
    const selected = plan.messages.length
    if (selected === 0)
      throw new NsbError({
        code: 'NSB_NOTHING_MATCHED',
        message: `No failed message in '${queue}' matches.`,
        suggestions: ['nsb errors list'],
      })
    this.#showPlan(plan, flags.newest)
    const about = { profile: await this.profileName(), queue }

    if (flags['dry-run']) {
      this.note('dry run: nothing was changed')
      const document = replayDocument({ ...about, plan })
      this.finish(replayExitCode(document))
      return document
    }

    await this.confirm(
      `Replay ${selected} message${selected > 1 ? 's' : ''} to ${plan.targets.map(({ target }) => printableLine(target ?? '(nowhere)')).join(', ')}?`,
      {
        typed: selected > mostWithoutTyping || flags.to !== undefined ? String(selected) : undefined,
      },
    )
    const progress = this.#progress()
    const report = await replay(transport, plan, options, {
      operation: newOperationId(Date.now()),
      window: flags.window,
      onError: flags['on-error'] === 'stop' ? 'stop' : 'continue',
      waitMs: flags.wait,
      keepAcknowledgeTo: flags['keep-ack'],
      sameNativeId: flags['same-native-id'],
      clock: Date.now,
      progress: (step) => progress?.show(step),
    })
    progress?.end()
    const document = replayDocument({ ...about, plan, report, waited: flags.wait !== undefined })
    this.#showReport(report, document)
    this.finish(replayExitCode(document))
    return document
  }

  #showPlan(plan: ReplayPlan, newest: boolean): void {
    const { matching, messages, duplicates, targets } = plan
    this.note(`${matching} match${matching === 1 ? 'es' : ''}, ${messages.length} selected, ${newest ? 'newest' : 'oldest'} first`)
    for (const target of targets) this.note(`  ${targetLine(target)}`)
    if (duplicates > 0) this.warning(`${duplicates} duplicate${duplicates > 1 ? 's' : ''} of other entries will stay in the error queue`)
    const wishes = messages.filter((message) => message.redirectedByMessage).length
    if (wishes > 0) this.warning(`${wishes} go where their ServiceControl.RetryTo header says, not where they failed`)
  }

  #progress(): Progress | undefined {
    const quiet = this.globals['no-progress'] === true || this.globals.quiet === true || process.env['CI'] !== undefined
    return quiet ? undefined : new Progress({ write: (text) => process.stderr.write(text), terminal: process.stderr.isTTY, now: Date.now })
  }

  #showReport(report: ReplayReport, document: ReturnType<typeof replayDocument>): void {
    const { colour } = this
    for (const item of report.items.filter((each) => each.result === 'failed').slice(0, 20))
      this.note(
        `${colour.err.failure('✗')} ${shortId(item.uniqueId)}  ${printableLine(item.target ?? '–')}  ${printableLine(item.error?.message ?? '')}`,
      )
    for (const item of report.items.filter((each) => each.result === 'failedAgain').slice(0, 20))
      this.note(
        `${colour.err.failure('✗')} ${shortId(item.uniqueId)}  failed again  ${printableLine((item.exception ?? '').split('\n', 1)[0] as string)}`,
      )
    if (report.stopped) this.warning('stopped: too many failures; the rest stays in the error queue')
    const counts = [
      `replayed ${document.published}`,
      ...(document.succeeded === undefined ? [] : [`succeeded ${document.succeeded}`]),
      ...((document.failedAgain ?? 0) > 0 ? [`failed again ${document.failedAgain}`] : []),
      ...((document.noAnswer ?? 0) > 0 ? [`no answer yet ${document.noAnswer}`] : []),
      ...(document.failed > 0 ? [`failed ${document.failed}`] : []),
      `left in queue ${report.leftInQueue}`,
      ...(report.newerArrivals > 0 ? [`newer arrivals ${report.newerArrivals}`] : []),
      `operation ${report.operation}`,
    ]
    this.out(counts.join(', '))
    if (document.failed > 0 || (document.failedAgain ?? 0) > 0) this.next('nsb errors list --since 1m', 'nsb errors groups')
  }
}
