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
  /** Aborted: the question is taken back. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks for the one confirmation of a command.
 *
 * @throws {NsbError} NSB_NEEDS_CONFIRMATION where nobody can be asked, NSB_NOT_CONFIRMED when the answer was no
 */
export async function confirm(question: string, terminal: Terminal, { typed, flag = '--yes', signal }: Confirmation): Promise<void> {
  if (!terminal.interactive)
    throw new NsbError({
      code: 'NSB_NEEDS_CONFIRMATION',
      message: `${question} Nobody can be asked here, so nothing was done.`,
      suggestions: [`re-run with ${flag}`],
      details: { flag },
    })
  const answer = await ask(
    {
      message: typed === undefined ? question : `${question} Type ${typed} to go on:`,
      kind: typed === undefined ? 'confirm' : 'input',
      signal,
    },
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
  /** Aborted: the question is taken back. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks one question on stderr.
 *
 * @param flag the flag that answers it without a terminal
 * @throws {NsbError} NSB_NEEDS_INPUT where nobody can be asked; NSB_INTERRUPTED on Ctrl-C; the reason of the signal
 */
export async function ask(question: Question, terminal: Terminal, flag: string): Promise<string | boolean> {
  if (!terminal.interactive)
    throw new NsbError({
      code: 'NSB_NEEDS_INPUT',
      message: `${question.message} Nobody can be asked here.`,
      suggestions: [`answer it with ${flag}`],
      details: { flag },
    })
  const { kind, message, choices, signal } = question
  const fallback = question.default ?? (kind === 'confirm' ? false : undefined)
  return prompt<string | boolean>(
    { type: kind === 'list' ? 'select' : kind, message, default: fallback, choices },
    'nothing was done',
    signal,
  )
}

/** One of several things to choose. */
export interface Choice<Value> {
  /** What is shown; safe for a terminal. */
  readonly name: string
  readonly value: Value
}

const inPlace = 'what was not done yet is in its place'
/** Of more than so many choices some can be searched for. */
const mostWithoutSearch = 20

/**
 * Lets one of several things be chosen, on stderr; of many by typing a part of the name.
 *
 * @throws {NsbError} NSB_INTERRUPTED on Ctrl-C; the reason of the signal
 */
export function choose<Value>(message: string, choices: readonly Choice<Value>[], signal: AbortSignal): Promise<Value> {
  // A line that is wrapped would be drawn over.
  const width = (process.stderr.columns || 80) - 4
  const shown = choices.map(({ name, value }) => ({
    name: name.length > width ? `${name.slice(0, width - 1)}…` : name,
    value,
    names: name,
  }))
  if (choices.length <= mostWithoutSearch)
    return prompt({ type: 'select', message, choices: shown, loop: false, pageSize: 12 }, inPlace, signal)
  const source = (typed: string | undefined): readonly Choice<Value>[] =>
    shown.filter(({ names }) => names.toLowerCase().includes((typed ?? '').toLowerCase()))
  return prompt({ type: 'search', message: `${message} (type to search)`, source, pageSize: 12 }, inPlace, signal)
}

async function prompt<Answer>(
  question: Readonly<Record<string, unknown>>,
  whenInterrupted: string,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const { createPromptModule } = (await import('inquirer')).default
  const ask = createPromptModule({ output: process.stderr, input: process.stdin, ...(signal === undefined ? {} : { signal }) })
  try {
    const answers = await ask([{ ...question, name: 'answer' } as never])
    return (answers as { answer: Answer }).answer
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    if (error instanceof Error && error.name === 'ExitPromptError')
      throw new NsbError({ code: 'NSB_INTERRUPTED', message: `Interrupted; ${whenInterrupted}.`, cause: error })
    throw error
  }
}
