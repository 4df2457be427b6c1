import { Exit } from './exit-codes.ts'

/** How long what was printed may take to be read, where somebody has asked for the end. */
const lastWordsMs = 1000

/**
 * On Linux and macOS a pipe blocks the process while nobody reads: it could neither be interrupted nor answer its broker. What is not read yet
 * waits in memory instead.
 */
export function unblockOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    const handle = (stream as { readonly _handle?: { setBlocking?: (blocking: boolean) => unknown } })._handle
    if (!stream.isTTY) handle?.setBlocking?.(false)
  }
}

/** Resolves when all that was printed is on its way; after a signal it does not wait for a reader who has stopped reading. */
export async function flushOutput(): Promise<void> {
  const flushed = Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))),
  )
  const isInterrupted = process.exitCode === Exit.interrupted || process.exitCode === Exit.terminated
  if (!isInterrupted) return void (await flushed)
  let timer: NodeJS.Timeout | undefined
  await Promise.race([flushed, new Promise((resolve) => (timer = setTimeout(resolve, lastWordsMs)))])
  clearTimeout(timer)
}
