import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { afterAll } from 'vitest'

// Below the project, so that packages are found from there.
const cache = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))
const files = new Map<string, string>()
let folder: string | undefined

afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  folder = undefined
  files.clear()
})

/**
 * Compiles a script for processes of a test: one that compiles what it loads takes four times as long to start.
 *
 * @returns the JavaScript file, with all that the script imports of this project; gone with the test file
 */
export function compiled(script: string): string {
  const known = files.get(script)
  if (known !== undefined) return known
  mkdirSync(cache, { recursive: true })
  folder ??= mkdtempSync(join(cache, 'test-scripts-'))
  const outfile = join(folder, `${basename(script, '.ts')}.mjs`)
  buildSync({
    entryPoints: [script],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'error',
  })
  files.set(script, outfile)
  return outfile
}
