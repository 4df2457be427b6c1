import { Args, Flags } from '@oclif/core'
import { boundMemory, replaysYoungMiB } from '../../src/cli/bounded-memory.ts'
import { ErrorsCommand, maxHoldFlag, nothingMatched, shortId } from '../../src/cli/errors/errors-command.ts'
import { chosenPace, paceFlags, paceRecord, roughDuration } from '../../src/cli/errors/pace-flags.ts'
import { pacingOf } from '../../src/cli/errors/replay-pacing.ts'
import {
  type PlannedPace,
  type ReplayDocument,
  dryRunDocument,
  replayDocument,
  replayExitCode,
  targetLines,
} from '../../src/cli/errors/replay-report.ts'
import { countsLine, failureLines, questionOf, warningsOf } from '../../src/cli/errors/replay-text.ts'
import { textOrFile } from '../../src/cli/errors/edit-input.ts'
import { ageText } from '../../src/cli/errors/kept-text.ts'
import { durationFlag } from '../../src/cli/global-flags.ts'
import { printableLine } from '../../src/cli/printable.ts'
import { Progress } from '../../src/cli/progress.ts'
import { selectionFlags } from '../../src/cli/selection-flags.ts'
import { withWaitValue } from '../../src/cli/errors/wait-flag.ts'
import type { TriedPatch, Unfit } from '../../src/toolkit/errors/edit/tried-patch.ts'
import { lookFields } from '../../src/toolkit/errors/documents.ts'
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import { isBetterStaged, plannedMs } from '../../src/toolkit/errors/replay/pace.ts'
import { type ReplayOptions, type ReplayPlan, mostItems, planReplay } from '../../src/toolkit/errors/replay/plan.ts'
import { prepareReplay } from '../../src/toolkit/errors/replay/prepare-replay.ts'
import { beginReplayJournal } from '../../src/toolkit/errors/replay/replay-record.ts'
import type { ReplayReport, ReplayRun } from '../../src/toolkit/errors/replay/replay.ts'
import type { SnapshotFile } from '../../src/toolkit/errors/browse/snapshot.ts'
import type { Transport } from '../../src/transport/transport.ts'
import { replayStaged } from '../../src/toolkit/errors/replay/staged-replay.ts'

const mostWithoutTyping = 100
const mostShown = 20

interface DryRun {
  readonly newest: boolean
  readonly planned: PlannedPace
  /** By the patch. */
  readonly unfit: readonly Unfit[]
}

export default class ErrorsReplay extends ErrorsCommand {
  static override summary = 'send failed messages back to where they failed'
  static override description =
    `Sends a copy of each selected message to the queue it failed in (or --to, or the redirect in nsb.json), oldest first, and removes it from the error queue when the copy is safe. What cannot be sent stays in the error queue. A journal notes each step before it is taken: after a crash, or Ctrl-C, nsb errors resume goes on where it ended. A crash loses no message, and then sends at most one window of them twice (--window). With --batch it stops after so many messages and asks whether to go on; with --wait the outcomes of the batch are there before the question. Where nobody can be asked it pauses for --batch-pause as long as nothing failed again, or with --yes goes on as long as nothing failed. What takes long is staged: the messages wait in a queue nsb.staging.<operation> of their own, and everything else in the error queue is free. With --json, items names each message of up to 10,000; above that only those that could not be sent, 1,000 at most, while the counts are of all.

Exit codes: 0 all done; 2 usage, or nothing selected; 3 some were not sent; 4 nothing matched, or no such error queue; 5 the transport cannot be reached; 6 not confirmed, or refused by a safety rule; 7 with --wait, some did not answer in time; 8 with --wait, some failed again.`
  static override aliases = ['errors:retry']
  static override examples = [
    '<%= config.bin %> errors replay acc35ddb --wait',
    '<%= config.bin %> errors replay --type FailingOrder --until 1m --dry-run',
    '<%= config.bin %> errors replay --group ac70 --limit 1 --wait',
    '<%= config.bin %> errors replay --group ac70 --batch 1,10,100,rest --wait',
    '<%= config.bin %> errors replay --type FailingOrder --rate 20/s --batch 500 --batch-pause 30s --yes',
    `<%= config.bin %> errors replay --type FailingOrder --patch '[{"op":"add","path":"/Currency","value":"EUR"}]' --yes`,
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
    patch: Flags.string({
      helpValue: '<JSON|@file>',
      helpGroup: 'ACT',
      summary:
        'change each body by a JSON Patch (RFC 6902): the copies are edited messages, and the originals are saved in the archive; a dry run says which of them it does not fit',
      exclusive: ['keep-ack', 'same-native-id'],
    }),
    ...paceFlags,
    'keep-ack': Flags.boolean({
      helpGroup: 'ACT',
      summary: "keep ServiceControl's acknowledgement address; its queue must exist",
      exclusive: ['wait'],
    }),
    'same-native-id': Flags.boolean({ helpGroup: 'ACT', summary: 'keep the native message id' }),
    'max-hold': maxHoldFlag,
    'allow-reorder': Flags.boolean({
      helpGroup: 'SAFETY',
      summary: 'where a queue has more than --max-hold messages, take the oldest and let the rest change its place',
    }),
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsReplay, withWaitValue(this.argv))
    const queue = await this.errorQueue()
    const project = await this.project()
    const criteria = await this.criteria(flags, args.ids ?? [])
    const { protect, transport: kind } = await this.connection()
    const isAnswered = await this.isAnswered()
    const pace = chosenPace(flags, { interactive: this.terminal.interactive, yes: isAnswered || flags['dry-run'] })
    const patch = flags.patch === undefined ? undefined : await textOrFile(flags.patch)
    if (patch !== undefined) (await import('../../src/toolkit/errors/edit/patch.ts')).bodyPatch(patch)
    const release = boundMemory(kind.value === 'rabbitmq' ? replaysYoungMiB : undefined)
    this.atEnd(async () => release())
    const transport = await this.openTransport()
    const browsing = this.browseOptions(queue, criteria, flags['max-hold'])
    const options: ReplayOptions = {
      ...browsing,
      overrule: flags['allow-reorder'] ? [...browsing.overrule, 'NSB_HOLD_TOO_SMALL'] : browsing.overrule,
      all: flags.all,
      to: flags.to,
      redirects: project.redirects,
      limit: flags.limit,
      newest: flags.newest,
    }
    const about = { profile: await this.profileName(), queue }
    const slowness = {
      perSecond: pace.perSecond,
      batches: pace.batches,
      pauseMs: pace.between?.kind === 'pause' ? pace.between.ms : undefined,
      waitMs: flags.wait,
    }
    const plannedPace = (count: number): PlannedPace => {
      const on = { asks: pace.between?.kind === 'ask', isHeld: !transport.can.lookWithoutTrace }
      return { ms: plannedMs(count, slowness), isStaged: flags.staged || isBetterStaged(count, slowness, on) }
    }
    if (flags['dry-run']) {
      const tried = patch === undefined ? undefined : await this.#tryPatch(patch, queue)
      const plan = await planReplay(transport, options, tried?.look)
      if (plan.selected === 0) throw nothingMatched(queue, criteria)
      return this.#dryRun({ ...about, asOf: options.now }, plan, {
        newest: flags.newest,
        planned: plannedPace(plan.selected),
        unfit: tried?.of(plan) ?? [],
      })
    }

    const prepared = await prepareReplay(transport, options, { confirmed: this.globals.yes === true && !protect, window: flags.window })
    this.atEnd(() => prepared.release())
    const { facts, plan } = prepared
    const most = plan?.selected ?? facts.depth
    if (most === 0) throw nothingMatched(queue, criteria)
    if (plan !== undefined) this.#showPlan(plan, flags.newest)
    else if (!isAnswered) await this.#showRemembered(transport, browsing.snapshot, options, facts.depth)
    const planned = plannedPace(Math.min(most, flags.limit ?? most))
    this.#notePace(planned)
    if (patch !== undefined)
      this.note('their bodies are changed by the patch: each copy is a message of its own, and its original is saved in the archive first')
    await this.confirmWhileHeld(questionOf(most, plan, options), {
      typed: most > mostWithoutTyping || flags.to !== undefined ? String(most) : undefined,
    })
    await this.noteOpenOperations(queue)
    await this.forgetSnapshot(queue)
    const operation = newOperationId(Date.now())
    const manner = {
      window: flags.window,
      onError: flags['on-error'] === 'stop' ? 'stop' : 'continue',
      waitMs: flags.wait,
      keepAcknowledgeTo: flags['keep-ack'],
      sameNativeId: flags['same-native-id'],
    } as const
    const journal = beginReplayJournal(
      await this.journalled(),
      operation,
      options,
      manner,
      plan,
      paceRecord(flags, patch, planned.isStaged),
    )
    const progress = this.#progress()
    const pacing = pacingOf(pace, {
      ask: (question, flag) => this.ask(question, flag),
      note: (text) => this.note(text),
      endProgress: () => progress?.end(),
      signal: this.signal,
    })
    const patching = patch === undefined ? undefined : await this.patching(patch, operation, queue)
    const run: ReplayRun = {
      operation,
      journal,
      ...manner,
      pacing,
      patching,
      everyItem: (this.jsonEnabled() && Math.min(most, flags.limit ?? most) <= mostItems) || flags.wait !== undefined,
      clock: Date.now,
      progress: (step) =>
        progress?.show(pace.batches === undefined || step.doing === 'moving' ? step : { ...step, note: `batch ${pacing?.number}` }),
    }
    const report = await (planned.isStaged ? replayStaged(transport, prepared, options, run) : prepared.run(run))
    progress?.end()
    if (patching?.archivedIn !== undefined) this.note(`the originals are in ${printableLine(patching.archivedIn)}`)
    if (report.selected === 0 && report.isOver) throw nothingMatched(queue, criteria)
    const document = replayDocument(about, report, flags.wait !== undefined)
    if (plan === undefined) this.#noteDuplicates(report.duplicates)
    this.#showReport(report, document)
    this.finish(replayExitCode(document))
    return document
  }

  async #tryPatch(patch: string, queue: string): Promise<TriedPatch> {
    const { TriedPatch } = await import('../../src/toolkit/errors/edit/tried-patch.ts')
    return new TriedPatch(await this.patching(patch, newOperationId(Date.now()), queue))
  }

  #dryRun(
    { asOf, ...about }: { profile: string; queue: string; asOf: number },
    plan: ReplayPlan,
    { newest, planned, unfit }: DryRun,
  ): unknown {
    this.#showPlan(plan, newest)
    if (unfit.length > 0) this.warning(`the patch does not fit ${unfit.length === mostItems ? 'at least ' : ''}${unfit.length} of them`)
    for (const { error, uniqueId } of unfit.slice(0, mostShown))
      this.note(`${this.colour.err.failure('✗')} ${printableLine(shortId(uniqueId))}  ${printableLine(error.message)}`)
    this.#notePace(planned)
    this.note('dry run: nothing was changed')
    if (plan.facts.kind === 'quorum') this.note('the queue counts it as one delivery of each message')
    const document = dryRunDocument(about, plan, planned, unfit)
    this.finish(replayExitCode(document))
    return { ...document, ...lookFields([{ asOf, cached: false, changedBy: 0 }]) }
  }

  #notePace({ isStaged, ms }: PlannedPace): void {
    if (ms > 0) this.note(`takes ${roughDuration(ms)} at most, beside what sending takes`)
    if (isStaged) this.note('staged: they are moved to a queue of their own first, and everything else in the error queue is free again')
  }

  #showPlan(plan: ReplayPlan, newest: boolean): void {
    const { matching, selected, duplicates, targets, wishes } = plan
    this.note(`${matching} match${matching === 1 ? 'es' : ''}, ${selected} selected, ${newest ? 'newest' : 'oldest'} first`)
    for (const line of targetLines(targets)) this.note(`  ${line}`)
    this.#noteDuplicates(duplicates)
    if (wishes > 0)
      this.warning(
        wishes === 1
          ? '1 goes where its ServiceControl.RetryTo header says, not where it failed'
          : `${wishes} go where their ServiceControl.RetryTo header says, not where they failed`,
      )
  }

  /** They are sent as they come: where they go is known of what was seen before, or not at all. */
  async #showRemembered(transport: Transport, snapshot: SnapshotFile | undefined, options: ReplayOptions, depth: number): Promise<void> {
    const { rememberedTargets } = await import('../../src/toolkit/errors/replay/remembered-targets.ts')
    const seen = await rememberedTargets(transport, snapshot, options, depth)
    const queue = printableLine(options.queue)
    if (seen === undefined)
      return this.note(`where they go was not looked at: --dry-run does, which may count as one delivery of each message of '${queue}'`)
    this.notice(`as '${queue}' was ${ageText(seen, options.now)}:`)
    for (const line of targetLines(seen.targets)) this.note(`  ${line}`)
  }

  #noteDuplicates(duplicates: number): void {
    if (duplicates > 0) this.warning(`${duplicates} duplicate${duplicates > 1 ? 's' : ''} of other entries will stay in the error queue`)
  }

  #progress(): Progress | undefined {
    const quiet = this.globals['no-progress'] === true || this.globals.quiet === true || process.env['CI'] !== undefined
    return quiet ? undefined : new Progress({ write: (text) => process.stderr.write(text), terminal: process.stderr.isTTY, now: Date.now })
  }

  #showReport(report: ReplayReport, document: ReplayDocument): void {
    for (const line of failureLines(report, mostShown)) this.note(`${this.colour.err.failure('✗')} ${line}`)
    for (const warning of warningsOf(report, this.signal.aborted)) this.warning(warning)
    this.out(countsLine(report, document))
    const resume = `nsb errors resume ${report.operation}`
    if (!report.isOver) this.next(resume, ...(report.staged === undefined ? [] : [`${resume} --undo`]))
    // What was not sent keeps the time when it failed.
    else if ((document.failedAgain ?? 0) > 0) this.next('nsb errors list --since 1m', 'nsb errors groups')
    else if (document.failed > 0) this.next('nsb errors list', 'nsb errors groups')
  }
}
