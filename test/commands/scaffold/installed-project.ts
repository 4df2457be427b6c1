import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { emptyFolder } from '../../support/folders.ts'
import { startNsb } from '../../support/running-nsb.ts'
import { write } from '../../support/shop-project.ts'

const root = resolve(import.meta.dirname, '../../..')

/** False after a build without declarations: then no project can be type checked against this package. */
export const hasTypes = existsSync(join(root, 'dist/src/index.d.ts'))

/** A folder with these files in which `npm install` seems to have run. */
export function installedProject(files: Readonly<Record<string, string>>): string {
  const folder = emptyFolder()
  write(folder, files)
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  for (const name of ['zod', 'typescript', 'vitest', '@types'])
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  for (const name of ['tsc', 'vitest']) symlinkSync(join(root, 'node_modules/.bin', name), join(folder, 'node_modules/.bin', name))
  symlinkSync(root, join(folder, 'node_modules/nsbus'))
  return folder
}

/** One command to its end. */
export async function nsb(
  cwd: string,
  ...words: readonly string[]
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const running = startNsb(words, cwd)
  const code = await running.ended
  return { code, stdout: running.stdout, stderr: running.stderr }
}
