import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NsbError, errorText } from '../../message/nsb-error.ts'

/** A file that a person edits and nobody else may read. */
export class EditFile {
  readonly path: string
  readonly #folder: string

  /** @param extension by which an editor knows how to colour it: `json`, `xml`, `txt` */
  constructor(text: string, extension: string) {
    this.#folder = mkdtempSync(join(tmpdir(), 'nsb-edit-'))
    // No name of the message is in the path: it may be anything.
    this.path = join(this.#folder, `message.${extension}`)
    writeFileSync(this.path, text, { mode: 0o600 })
  }

  /** @throws {NsbError} NSB_EDITOR_FAILED: an editor may have removed it, or saved something that is no UTF-8 */
  read(): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(this.path))
    } catch (error) {
      throw editorFailed(`'${this.path}' cannot be read after editing: ${errorText(error)}.`, error)
    }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The editor that a person has chosen, as words of a command line. */
export function editorOf(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): readonly [string, ...string[]] {
  const chosen = [env['VISUAL'], env['EDITOR']].find((each) => each !== undefined && each.trim() !== '')
  const [command, ...words] = wordsOf(chosen ?? '')
  return [command ?? (platform === 'win32' ? 'notepad' : 'vi'), ...words]
}

/** `"/opt/My Editor/bin/ed" --wait` as its words. Quotes of both kinds; no shell, so nothing else means anything. */
export function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(/"([^"]*)"|'([^']*)'/g, (_, double?: string, single?: string) => double ?? single ?? ''),
  )
}

/**
 * Opens the editor on a file and waits until it is closed. Ctrl-C is for the editor alone meanwhile.
 *
 * @throws {NsbError} NSB_EDITOR_FAILED: it cannot be started, or ended with another code than 0
 */
export async function runEditor([command, ...words]: readonly [string, ...string[]], path: string): Promise<void> {
  const ignore = (): void => undefined
  const listeners = process.listeners('SIGINT')
  process.removeAllListeners('SIGINT').on('SIGINT', ignore)
  try {
    // It draws on the terminal, also where stdout is a pipe.
    const child = spawn(command, [...words, path], { stdio: [0, process.stdout.isTTY ? 1 : 2, 2] })
    const ended = await new Promise<string | number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => resolve(signal ?? code))
    })
    if (ended !== 0) throw editorFailed(`The editor '${command}' ended with ${ended}.`)
  } catch (error) {
    if (error instanceof NsbError) throw error
    throw editorFailed(`The editor '${command}' cannot be started: ${errorText(error)}.`, error)
  } finally {
    process.off('SIGINT', ignore)
    for (const listener of listeners) process.on('SIGINT', listener)
  }
}

function editorFailed(message: string, cause?: unknown): NsbError {
  return new NsbError({
    code: 'NSB_EDITOR_FAILED',
    message: `${message} Nothing was sent.`,
    suggestions: ['Choose another one: EDITOR=nano', 'Edit without one: nsb errors edit <id> --set-header <name=value> --body-file <file>'],
    cause,
  })
}
