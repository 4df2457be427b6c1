import type { BuildFailure, Message } from 'esbuild'
import { NsbError, errorText } from '../../message/nsb-error.ts'

const shown = 5

/** Each place with file, line, column, what is wrong and the line itself. */
export function compileError(error: unknown): NsbError {
  const errors = (error as Partial<BuildFailure>).errors ?? []
  const more = errors.length > shown ? [`… and ${errors.length - shown} more`] : []
  const files = new Set(errors.flatMap(({ location }) => location?.file ?? []))
  const what = files.size === 1 ? `'${[...files].join('')}' does not compile:` : 'The handlers do not compile:'
  return new NsbError({
    code: 'NSB_HANDLER_DOES_NOT_COMPILE',
    message: [what, ...(errors.length === 0 ? [errorText(error)] : errors.slice(0, shown).map(lines)), ...more].join('\n'),
    suggestions: missingFile(errors) ? ['Check the path of the import, with its extension'] : [],
    cause: error,
    details: {
      errors: errors.map(({ text, location }) =>
        location ? { file: location.file, line: location.line, column: location.column + 1, text } : { text },
      ),
    },
  })
}

function lines({ text, location }: Message): string {
  if (!location) return `  ${text}`
  const number = String(location.line)
  const mark = ' '.repeat(location.column).replace(/ /g, (_blank, index: number) => (location.lineText[index] === '\t' ? '\t' : ' '))
  return [
    `  ${location.file}:${number}:${location.column + 1}: ${text}`,
    `  > ${number} | ${location.lineText}`,
    `    ${' '.repeat(number.length)} | ${mark}^`,
  ].join('\n')
}

function missingFile(errors: readonly Message[]): boolean {
  return errors.some(({ text }) => text.startsWith('Could not resolve'))
}
