import { readFileSync } from 'node:fs'

export const keyHelp = ['h help   r restart   e replay the last failure   p pause or go on   q quit   Ctrl-C quit, twice: at once']

/**
 * Calls what belongs to a key as long as the terminal is listened to; Ctrl-C stays a signal.
 *
 * @returns ends it
 */
export function listenForKeys(pressed: (key: string) => void): () => void {
  const { stdin } = process
  const read = (text: string): void => {
    for (const key of text) {
      // In raw mode the terminal sends no signals.
      if (key === '\u0003') process.kill(process.pid, 'SIGINT')
      else pressed(key.toLowerCase())
    }
  }
  stdin.setRawMode(true)
  stdin.setEncoding('utf8').on('data', read).resume()
  return () => {
    stdin.off('data', read).pause()
    stdin.setRawMode(false)
  }
}

/** Can keys be listened to? A background job that touches its terminal is stopped by the system. */
export function hasKeyboard(): boolean {
  if (!process.stdin.isTTY) return false
  try {
    const text = readFileSync('/proc/self/stat', 'latin1')
    // The second field is the program's name in parentheses and may contain anything, so count from its end.
    const [, , group, , , foreground] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return foreground === '-1' || group === foreground
  } catch {
    return true
  }
}
