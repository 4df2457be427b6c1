import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

// On a real disk a test that waits for files waits for the disk.
const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** A new folder; who made it removes it. */
export function makeTempFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(base, 'nsb-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** A new folder for the test that is running; it is removed afterwards. Call it inside `it` or `beforeEach`. */
export function tempFolder(): string {
  const folder = makeTempFolder()
  made.push(folder)
  return folder.path
}

const made: { remove(): void }[] = []
afterEach(() => {
  for (const folder of made.splice(0)) folder.remove()
})
