import type { CheckResult } from '../toolkit/scaffold/check.ts'
import type { PlannedFile } from '../toolkit/scaffold/write-files.ts'
import { BaseCommand } from './base-command.ts'
import { Exit } from './exit-codes.ts'

/** What a scaffold command is about to write. */
export interface Scaffolding {
  readonly root: string
  readonly files: readonly PlannedFile[]
  readonly dryRun: boolean
  /** Asked before anything is written. */
  readonly confirm?: () => Promise<void>
  readonly warnings?: readonly string[]
  /** The project's own tools on what was written; undefined: not asked for. */
  readonly check: (() => Promise<CheckResult>) | undefined
  readonly next: readonly string[]
}

/** What the scaffold commands share: files are shown, written all or not at all, and checked. */
export abstract class ScaffoldCommand extends BaseCommand {
  protected async scaffold(schema: string, { root, files, dryRun, ...plan }: Scaffolding): Promise<unknown> {
    const { checkLine, conflictLines, contentLines, fileItems, fileLines } = await import('../toolkit/scaffold/report.ts')
    if (!dryRun) await plan.confirm?.()
    for (const line of [...fileLines(files), ...(dryRun ? contentLines(files) : [])]) this.out(line)
    for (const warning of plan.warnings ?? []) this.warning(warning)
    if (dryRun) return { schema, dryRun: true, files: fileItems(files, true) }
    const differences = conflictLines(files)
    if (
      differences.length > 0 &&
      this.terminal.interactive &&
      (await this.ask({ message: 'Show the differences?', kind: 'confirm' }, '--force')) === true
    )
      this.note(differences.join('\n'))
    const { refuseConflicts, writeFiles } = await import('../toolkit/scaffold/write-files.ts')
    refuseConflicts(files)
    await writeFiles(root, files)
    const result = await plan.check?.()
    if (result) this.out(checkLine(result))
    if (result?.output !== undefined) this.note(result.output)
    if (result?.status === 'failed') this.finish(Exit.negative)
    this.next(...plan.next)
    return { schema, files: fileItems(files, false), ...(result && { check: result }) }
  }
}
