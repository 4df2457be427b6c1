import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { fileURLToPath } from 'node:url'
import { compiled } from './compiled.ts'
import type { Kill } from './kill-before.ts'

const preload = fileURLToPath(new URL('kill-before.ts', import.meta.url))

/** The environment in which a program is killed before one of its calls of `node:fs`. */
export function killingBefore(kill: Kill): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import=${pathToFileURL(compiled(preload)).href}`, NSB_TEST_KILL: JSON.stringify(kill) }
}

/** How many calls a program had that was to count them. */
export function countedCalls({ countInto }: Kill): number {
  return Number(readFileSync(countInto as string, 'utf8'))
}
