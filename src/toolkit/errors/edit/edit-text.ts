import { NsbError, errorText } from '../../../message/nsb-error.ts'
import { closingQuote } from '../../../serialization/closing-quote.ts'
import type { Headers } from '../../../transport/transport.ts'
import { bodyOf, contentOf, editableText } from './editable.ts'
import type { Edited } from './edited-message.ts'
import { type HeaderChanges, isLocked } from './header-changes.ts'
import { compact, layOut, readJsonText, writeNode } from './json-text.ts'
import { flatXml, laidOutXml } from './xml.ts'

/** What of a message is edited. */
export type EditedPart = 'all' | 'body' | 'headers'

/** A body as a person edits it, and the way back. */
export interface BodyText {
  readonly text: string
  /** The bytes of a text that was edited; those of the original where nothing of it was changed. */
  bytesOf(this: void, text: string): Uint8Array
}

/**
 * Lays a body out for a person. On the way back it is written as compactly as it was; digits and escapes stay as they are written.
 *
 * @throws {NsbError} NSB_BODY_NOT_EDITABLE
 */
export function bodyText({ body, headers }: Edited): BodyText {
  const { mark, text } = editableText(body, headers)
  const { flat, shown } = laidOut(text, contentOf(headers))
  return {
    text: shown,
    bytesOf(edited) {
      // Most editors end a file with a line break.
      const without = !shown.endsWith('\n') && edited.endsWith('\n') ? edited.replace(/\r?\n$/, '') : edited
      return without === shown ? body : bodyOf(mark + flat(without))
    },
  }
}

interface LaidOut {
  readonly shown: string
  flat(this: void, text: string): string
}

const asItIs = (text: string): LaidOut => ({ shown: text, flat: (edited) => edited })

function laidOut(text: string, content: ReturnType<typeof contentOf>): LaidOut {
  // Who wrote it over several lines gets it back so.
  if (text.trimEnd().includes('\n')) return asItIs(text)
  if (content === 'json') return laidOutJson(text)
  if (content === 'xml') {
    const shown = laidOutXml(text)
    if (shown !== undefined) return { shown, flat: flatXml }
  }
  return asItIs(text)
}

function laidOutJson(text: string): LaidOut {
  try {
    const shown = layOut(readJsonText(text).root, text)
    if (shown === undefined) return asItIs(text)
    return { shown, flat: (edited) => writeNode(compact(readJsonText(edited).root)) }
  } catch {
    // It is no JSON, which may be what has to be corrected.
    return asItIs(text)
  }
}

const bodyLine = '=== body ==='

/** @param notes lines of explanation, shown as comments */
export function editText(headers: Headers, body: string, part: EditedPart, notes: readonly string[]): string {
  if (part === 'body') return ended(body)
  const entries = Object.entries(headers)
  const lines = [
    ...notes.map(comment),
    '# Headers, one a line. Take a line out to remove the header, write a new one to add it. Lines with # are not read.',
    ...entries.filter(([name]) => !isLocked(name)).map(([name, value]) => `${written(name, plainName)}: ${written(value, plainValue)}`),
    '#',
    '# These stay as they are:',
    ...entries.filter(([name]) => isLocked(name)).map(([name, value]) => comment(`${name}: ${value}`)),
    ...(part === 'all' ? [bodyLine, body] : []),
  ]
  return ended(lines.join('\n'))
}

/**
 * Reads what {@link editText} wrote and a person changed. A locked header that was typed in again is a change like any other, and is
 * refused where changes are.
 *
 * @returns the changes of headers, and the text of the body; undefined where it was not part of the file
 * @throws {NsbError} NSB_BAD_EDIT with the line
 */
export function readEditText(
  text: string,
  headers: Headers,
  part: EditedPart,
): { readonly changes: HeaderChanges; readonly body: string | undefined } {
  if (part === 'body') return { changes: { set: {}, unset: [] }, body: text }
  const lines = text.replace(/^\uFEFF/, '').split('\n')
  const at = part === 'all' ? lines.findIndex((line) => line.trim() === bodyLine) : lines.length
  if (at < 0) throw badEdit(`The line '${bodyLine}' is gone, so it is not known where the body begins.`)
  const read = new Map<string, string>()
  for (const [index, line] of lines.slice(0, at).entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    const [name, value] = headerOf(line, index + 1)
    if (read.has(name)) throw badEdit(`Line ${index + 1}: header '${name}' stands there twice.`)
    read.set(name, value)
  }
  const unset = Object.keys(headers).filter((name) => !isLocked(name) && !read.has(name))
  return { changes: { set: Object.fromEntries(read), unset }, body: part === 'all' ? lines.slice(at + 1).join('\n') : undefined }
}

function headerOf(line: string, number: number): [name: string, value: string] {
  const bare = line.replace(/\r$/, '')
  const quoted = bare.startsWith('"') ? bare.slice(0, closingQuote(bare, 0) + 1) : ''
  const name = quoted || (/^[^:]+/.exec(bare)?.[0] ?? '')
  const rest = bare.slice(name.length)
  if (name === '' || !/^\s*:/.test(rest)) throw badEdit(`Line ${number} is not of the form 'Name: value'.`)
  return [unwritten(name.trim(), number), unwritten(rest.replace(/^\s*:/, '').trim(), number)]
}

// Anything else is written in quotes, as JSON writes a text.
const plainName = /^[^\s:"#\p{C}\p{Zl}\p{Zp}][^:\p{C}\p{Zl}\p{Zp}]*(?<!\s)$/u
const plainValue = /^(?:[^\s"\p{C}\p{Zl}\p{Zp}](?:[^\p{C}\p{Zl}\p{Zp}]*(?<!\s))?)?$/u

function written(text: string, plain: RegExp): string {
  return plain.test(text) ? text : escaped(JSON.stringify(text))
}

function unwritten(text: string, number: number): string {
  if (!text.startsWith('"')) return text
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'string') return value
  } catch (error) {
    throw badEdit(`Line ${number}: what begins with a quote has to be a text as JSON writes it: ${errorText(error)}.`)
  }
  return text
}

const longestComment = 300

/** What comes from a message may not end the comment, nor show something else than what is there. */
function comment(text: string): string {
  const line = escaped(text.replaceAll('\r', '').replaceAll('\n', ' '))
  return `# ${line.length > longestComment ? `${line.slice(0, longestComment)}…` : line}`
}

function escaped(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) =>
    Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )
}

const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)

function badEdit(message: string): NsbError {
  return new NsbError({ code: 'NSB_BAD_EDIT', message, suggestions: ['Correct the file and save it again'] })
}
