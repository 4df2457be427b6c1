import { NsbError } from '../message/nsb-error.ts'

/** May a question be asked? Only when somebody sees it and can answer. */
export interface Terminal {
  readonly interactive: boolean
}

export function terminalOf(noInputFlag: boolean, env: NodeJS.ProcessEnv): Terminal {
  const ci = env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false' && env['CI'] !== '0'
  return { interactive: !noInputFlag && !ci && process.stdin.isTTY === true && process.stderr.isTTY === true }
}

export interface Confirmation {
  /** What must be typed instead of y; for what is large or dangerous. */
  readonly typed?: string | undefined
  /** The flag that answers for scripts; default `--yes`. */
  readonly flag?: string
}

/**
 * Asks for the one confirmation of a command.
 *
 * @throws {NsbError} NSB_NEEDS_CONFIRMATION where nobody can be asked, NSB_NOT_CONFIRMED when the answer was no
 */
export async function confirm(question: string, terminal: Terminal, { typed, flag = '--yes' }: Confirmation): Promise<void> {
  if (!terminal.interactive)
    throw new NsbError({
      code: 'NSB_NEEDS_CONFIRMATION',
      message: `${question} Nobody can be asked here, so nothing was done.`,
      suggestions: [`re-run with ${flag}`],
      details: { flag },
    })
  const answer = await ask(
    { message: typed === undefined ? question : `${question} Type ${typed} to go on:`, kind: typed === undefined ? 'confirm' : 'input' },
    terminal,
    flag,
  )
  if (typed === undefined ? answer !== true : String(answer).trim() !== typed)
    throw new NsbError({ code: 'NSB_NOT_CONFIRMED', message: 'Not confirmed; nothing was done.' })
}

export interface Question {
  readonly message: string
  readonly kind: 'confirm' | 'input' | 'list'
  readonly default?: string | boolean
  readonly choices?: readonly string[]
}

/**
 * Asks one question on stderr.
 *
 * @param flag the flag that answers it without a terminal
 * @throws {NsbError} NSB_NEEDS_INPUT where nobody can be asked; NSB_INTERRUPTED on Ctrl-C
 */
export async function ask(question: Question, terminal: Terminal, flag: string): Promise<string | boolean> {
  if (!terminal.interactive)
    throw new NsbError({
      code: 'NSB_NEEDS_INPUT',
      message: `${question.message} Nobody can be asked here.`,
      suggestions: [`answer it with ${flag}`],
      details: { flag },
    })
  const { createPromptModule } = (await import('inquirer')).default
  const prompt = createPromptModule({ output: process.stderr, input: process.stdin })
  const { kind, message, choices } = question
  const fallback = question.default ?? (kind === 'confirm' ? false : undefined)
  try {
    const answers = await prompt([
      { type: kind === 'list' ? 'select' : kind, name: 'answer', message, default: fallback, choices } as never,
    ])
    return (answers as { answer: string | boolean }).answer
  } catch (error) {
    if (error instanceof Error && error.name === 'ExitPromptError')
      throw new NsbError({ code: 'NSB_INTERRUPTED', message: 'Interrupted; nothing was done.', cause: error })
    throw error
  }
}
