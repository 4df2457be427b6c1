import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { variableWithoutPassword, withoutPasswords } from '../config/secrets.ts'
import { type Consent, requireTrust } from '../trust/trust.ts'

/** Where a text comes from that may hold a password. */
export type SecretSource =
  | { readonly kind: 'text'; readonly text: string; readonly origin: string }
  | { readonly kind: 'environment'; readonly variable: string; readonly origin: string }
  | { readonly kind: 'file'; readonly file: string; readonly origin: string }
  | {
      readonly kind: 'command'
      readonly command: string
      /** Where it runs. */
      readonly folder: string
      /** The project's file says it, rather than the user's own. */
      readonly isOfProject: boolean
      readonly origin: string
    }

export interface ReadSecretOptions {
  /** What the text is, for errors: `connection`. */
  readonly what: string
  readonly env: NodeJS.ProcessEnv
  /** Bounds a command. */
  readonly timeoutMs: number
  /** Who is asked before a command of the project runs. */
  readonly consent: Consent | undefined
}

const longestLine = 64 * 1024

/**
 * The text itself: the first line of a file, or of what a command prints. No error repeats any of it.
 *
 * @throws {NsbError} NSB_NO_CONNECTION, NSB_UNTRUSTED_FOLDER
 */
export async function readSecret(source: SecretSource, { consent, env, timeoutMs, what }: ReadSecretOptions): Promise<string> {
  const none = (why: string, next: string, cause?: unknown): NsbError =>
    new NsbError({
      code: 'NSB_NO_CONNECTION',
      message: `There is no ${what}: ${why} (${source.origin}).`,
      suggestions: [next],
      details: { origin: source.origin },
      cause,
    })
  switch (source.kind) {
    case 'text':
      return source.text
    case 'environment': {
      const text = env[source.variable]
      if (!text) {
        const name = variableWithoutPassword(source.variable)
        throw none(`the variable ${name} is not set`, `export ${name}=…`)
      }
      return text
    }
    case 'file': {
      const text = await readFile(source.file, 'utf8').catch((error: unknown) => {
        throw none(`'${source.file}' cannot be read: ${errorText(error)}`, 'Write it into the first line of that file', error)
      })
      const line = firstLine(text)
      if (line === '') throw none(`the first line of '${source.file}' is empty`, 'Write it into the first line of that file')
      return line
    }
    case 'command': {
      if (source.isOfProject) await requireTrust({ kind: 'command', folder: source.folder, consent }, env)
      const { ended, output } = await run(source.command, source.folder, timeoutMs)
      const next = `Try the command in ${source.folder}`
      if (ended !== undefined) throw none(`its command ${ended}`, next)
      const line = firstLine(output)
      if (line === '') throw none('the first line its command prints is empty', next)
      return line
    }
  }
}

const firstLine = (text: string): string => (text.replace(/^\uFEFF/, '').split(/\r?\n/, 1)[0] ?? '').trim()

/**
 * @returns `ended`: how it failed; undefined when it did not. What it writes to stderr is seen, line by line and without what looks like a
 * password; what it prints is not.
 */
async function run(
  command: string,
  folder: string,
  timeoutMs: number,
): Promise<{ readonly output: string; readonly ended: string | undefined }> {
  // Few connections come from a command, and every start would load it.
  const { spawn } = await import('node:child_process')
  // A group of its own: the shell may have started others, which must not outlive it.
  const child = spawn(command, { shell: true, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: process.platform !== 'win32' })
  let [output, ended]: [string, string | undefined] = ['', undefined]
  const kill = (why: string): void => {
    ended = why
    try {
      if (process.platform === 'win32' || child.pid === undefined) child.kill()
      else process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
    child.stdout.destroy()
  }
  const timer = setTimeout(() => kill(`took longer than ${timeoutMs} ms and was ended`), timeoutMs)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    if (output.length > longestLine) kill('prints more than a connection')
  })
  const said = passOn(child.stderr)
  const printed = new Promise((resolve) => child.stdout.once('close', resolve))
  const how = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`cannot be run: ${errorText(error)}`))
    child.once('exit', (code, signal) => resolve(code === 0 ? undefined : `ended with ${code ?? signal}`))
  })
  if (how?.startsWith('cannot') !== true) await printed
  clearTimeout(timer)
  await said()
  return { output, ended: ended ?? how }
}

/** What a command that ended has said comes a moment later; what it has started may go on talking. */
const saidWithinMs = 100

/** Shows what a command says. @returns waits for the last of it */
function passOn(stream: Readable): () => Promise<void> {
  let line = ''
  const say = (text: string): void => void process.stderr.write(withoutPasswords(text))
  const rest = (): void => {
    if (line !== '') say(`${line}\n`)
    line = ''
  }
  stream.setEncoding('utf8').on('data', (text: string) => {
    const whole = text.lastIndexOf('\n') + 1
    if (whole > 0 || line.length > longestLine) {
      say(line + text.slice(0, whole))
      line = ''
    }
    line += text.slice(whole)
  })
  const ended = new Promise<void>((resolve) => stream.once('close', resolve))
  return async () => {
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, saidWithinMs))])
    rest()
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref()
  }
}
