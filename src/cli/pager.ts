import { spawn } from 'node:child_process'

/**
 * Shows a text with `$PAGER` when it is longer than the screen.
 *
 * @returns false when there is no pager to show it with, or no need for one: then it is still to be printed
 */
export async function showInPager(
  text: string,
  { env = process.env, screen = process.stdout }: { env?: NodeJS.ProcessEnv; screen?: Pick<NodeJS.WriteStream, 'isTTY' | 'rows'> } = {},
): Promise<boolean> {
  const pager = env['PAGER']?.trim()
  if (pager === undefined || pager === '' || pager === 'cat' || !screen.isTTY || text.split('\n').length < screen.rows) return false
  // $PAGER is a command line, as for git and man. less without -R would show colours as codes.
  const child = spawn(pager, { shell: true, stdio: ['pipe', 'inherit', 'inherit'], env: { LESS: 'FRX', ...env } })
  // Ctrl-C is for the pager alone.
  const ignore = (): void => undefined
  const listeners = process.listeners('SIGINT')
  process.removeAllListeners('SIGINT').on('SIGINT', ignore)
  // Who leaves the pager early has seen enough.
  child.stdin.on('error', ignore)
  child.stdin.end(`${text}\n`)
  try {
    const code = await new Promise<number | null>((resolve) => {
      child.on('error', () => resolve(notFound))
      child.on('close', resolve)
    })
    // What the shell answers when there is no such command.
    return code !== notFound && code !== notExecutable
  } finally {
    process.off('SIGINT', ignore)
    for (const listener of listeners) process.on('SIGINT', listener)
  }
}

const notFound = 127
const notExecutable = 126
