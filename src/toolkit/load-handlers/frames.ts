import { readFileSync } from 'node:fs'
import { isAbsolute, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { causeOf, isInstance, textProperty } from '../../runtime/thrown.ts'

/** A place in a source file; line and column count from 1. */
export interface Place {
  /** Absolute. */
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * The line, its neighbours and a mark under the column:
 * ```
 *   8 |   const stock = await find(message.Sku)
 * > 9 |   if (!stock) throw new Error('no stock')
 *     |                     ^
 *  10 | }
 * ```
 * @returns undefined when the file cannot be read or has no such line
 */
export function codeFrame(file: string, line: number, column: number): string | undefined {
  let lines: readonly string[]
  try {
    lines = readFileSync(file, 'utf8').split(/\r?\n/)
  } catch {
    return undefined
  }
  const marked = lines[line - 1]
  if (marked === undefined) return undefined
  const width = String(line + 1).length
  const row = (number: number): readonly string[] => {
    const text = lines[number - 1]
    return text === undefined || (number !== line && text === '')
      ? []
      : [`${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${text}`.trimEnd()]
  }
  // Tabs stay tabs, so that the mark stands under the column however wide a tab is.
  const mark = `  ${' '.repeat(width)} | ${marked.slice(0, column - 1).replace(/[^\t]/g, ' ')}^`
  return [...row(line - 1), ...row(line), mark, ...row(line + 1)].join('\n')
}

/**
 * The first stack frame inside the project, dependencies left out; that of the error's cause when its own stack has none.
 *
 * Sources of loaded handlers appear because source maps are on.
 */
export function userFrame(error: unknown, root: string): Place | undefined {
  for (let current: unknown = error, depth = 0; isInstance(current, Error) && depth < 8; current = causeOf(current), depth++) {
    const found = placesOf(textProperty(current, 'stack') ?? '').find(({ file }) => isInside(file, root))
    if (found) return found
  }
  return undefined
}

const lineAndColumn = /:(\d+):(\d+)\)?$/
const beforePathInBrackets = /\((?=file:\/\/|\/|[A-Za-z]:[\\/])/
const beforePath = /^\s+at (?=file:\/\/|\/|[A-Za-z]:[\\/])/

/** What was thrown may have a text that looks like a frame, or nearly so. */
function placesOf(stack: string): readonly Place[] {
  return stack.split('\n').flatMap((text) => {
    const end = /^\s+at /.test(text) ? lineAndColumn.exec(text) : null
    const begin = beforePathInBrackets.exec(text) ?? beforePath.exec(text)
    if (end === null || begin === null || begin.index >= end.index) return []
    const path = text.slice(begin.index + begin[0].length, end.index)
    const file = path.startsWith('file://') ? pathOf(path) : path
    return file === undefined ? [] : [{ file, line: Number(end[1]), column: Number(end[2]) }]
  })
}

function pathOf(url: string): string | undefined {
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}

function isInside(file: string, root: string): boolean {
  const path = relative(root, file)
  return path !== '' && !path.startsWith('..') && !isAbsolute(path) && !path.split(sep).includes('node_modules')
}
