import { isUtf8 } from 'node:buffer'
import { isTextBody } from '../../message/failure.ts'
import { Header } from '../../message/headers.ts'
import type { Headers } from '../../transport/transport.ts'
import { indentJson } from '../indent-json.ts'
import { XmlText } from '../../toolkit/xml-text.ts'
import { printable } from '../printable.ts'

/** How much is shown, in characters of text and bytes of anything else. */
export interface BodyRoom {
  readonly characters: number
  readonly bytes: number
}

/** For one look; the whole body has flags of its own. */
export const bodyAtAGlance: BodyRoom = { characters: 16_384, bytes: 256 }
export const wholeBody: BodyRoom = { characters: Number.POSITIVE_INFINITY, bytes: 64 * 1024 }

/** A larger one is shown as it is. */
const longestFormatted = 1024 * 1024
/** What fits on a line beside the labels stays on one. */
const oneLine = 66

export interface BodyText {
  /** `application/json, 74 B`, and what is wrong with it. */
  readonly summary: string
  readonly lines: readonly string[]
}

/**
 * A body as a person reads it: JSON and XML with indentation, other text as it is, anything else as bytes. JSON keeps every digit and
 * every escape; what is not what its content type says is shown as it is.
 */
export function bodyText(headers: Headers, body: Uint8Array, room: BodyRoom): BodyText {
  const contentType = headers[Header.ContentType] ?? 'no content type'
  const encoding = headers['Content-Encoding'] === undefined ? '' : ` (${headers['Content-Encoding']})`
  const summary = `${contentType}${encoding}, ${body.length} B`
  if (body.length === 0) return { summary, lines: [] }
  if (!isTextBody(headers)) return { summary, lines: hexLines(body, room.bytes) }
  if (!isUtf8(body)) return { summary: `${summary}, not UTF-8`, lines: hexLines(body, room.bytes) }
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
  const formatted = formattedText(text, contentType.toLowerCase())
  const shown = printable(formatted.text.slice(0, room.characters))
  const more = formatted.text.length - room.characters
  return {
    summary: `${summary}${formatted.problem}`,
    lines: [...shown.split('\n'), ...(more > 0 ? [`… ${more} more characters (--body for all)`] : [])],
  }
}

function formattedText(text: string, contentType: string): { readonly text: string; readonly problem: string } {
  if (text.length > longestFormatted) return { text, problem: '' }
  if (contentType.includes('json')) {
    const indented = indentJson(text)
    if (indented === undefined) return { text, problem: ', not JSON' }
    // Between its tokens only: a text in JSON has no line break.
    const joined = indented.length > 4 * oneLine ? indented : indented.replace(/\n */g, ' ')
    return { text: joined.length > oneLine ? indented : joined, problem: '' }
  }
  // No message has a document type.
  if (contentType.includes('xml') && !/<!doctype/i.test(text)) {
    const xml = xmlIn(text)
    return { text: xml?.laidOut() ?? text, problem: xml === undefined ? ', not well-formed XML' : '' }
  }
  return { text, problem: '' }
}

/** undefined: it is none. */
function xmlIn(text: string): XmlText | undefined {
  try {
    return XmlText.read(text)
  } catch {
    return undefined
  }
}

const perLine = 16

/** Sixteen bytes a line, as numbers and as ASCII. */
function hexLines(body: Uint8Array, most: number): string[] {
  const lines: string[] = []
  const end = Math.min(body.length, most)
  for (let at = 0; at < end; at += perLine) {
    const bytes = [...body.subarray(at, Math.min(at + perLine, end))]
    const numbers = bytes.map((byte) => byte.toString(16).padStart(2, '0'))
    const halves = `${numbers.slice(0, 8).join(' ').padEnd(23)}  ${numbers.slice(8).join(' ').padEnd(23)}`
    const ascii = bytes.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${halves}  |${ascii}|`)
  }
  return body.length > end ? [...lines, `… ${body.length - end} more bytes (--raw for all)`] : lines
}
