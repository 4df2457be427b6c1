import type { CheckResult } from './check.ts'
import { lineDiff } from './line-diff.ts'
import type { PlannedFile } from './write-files.ts'

/** One line for each file: what happens to it, its path, what it declares. */
export function fileLines(files: readonly PlannedFile[]): readonly string[] {
  const width = Math.max(...files.map(({ path }) => path.length))
  const actionWidth = Math.max(6, ...files.map(({ action }) => action.length))
  return files.map(
    ({ action, path, type }) => `  ${action.padEnd(actionWidth)}  ${type === undefined ? path : `${path.padEnd(width)}   ${type}`}`,
  )
}

/** The files with their contents, as `--dry-run` shows them. */
export function contentLines(files: readonly PlannedFile[]): readonly string[] {
  return files.flatMap((file) => (file.content === '' ? [] : ['', `--- ${file.path}`, file.content.trimEnd()]))
}

/** What differs in the files that are in the way. */
export function conflictLines(files: readonly PlannedFile[]): readonly string[] {
  return files.flatMap(({ action, path, existing = '', content }) =>
    action === 'conflict' ? [`--- ${path}   (- there, + new)`, ...lineDiff(existing, content)] : [],
  )
}

export function checkLine({ status, text }: CheckResult): string {
  return `  ${{ ok: 'ok', failed: 'failed', skipped: 'skip' }[status].padEnd(6)}  ${text}`
}

/** The files as `--json` lists them. */
export function fileItems(files: readonly PlannedFile[], withContent: boolean) {
  return files.map(({ path, action, type, content }) => ({
    path,
    action,
    ...(type === undefined ? {} : { type }),
    ...(withContent && content !== '' ? { content } : {}),
  }))
}
