import { StringDecoder } from 'node:string_decoder'
import { LineCutter } from '../../toolkit/read-lines.ts'
import { printableJson } from '../printable.ts'

/** What handlers print without an end is passed on in pieces of about that size. */
const longestLine = 1024 * 1024

/** Passes text on in whole lines. */
export class Lines {
  readonly #cutter = new LineCutter()
  readonly #decoder = new StringDecoder('utf8')
  readonly #line: (line: string) => void

  constructor(line: (line: string) => void) {
    this.#line = line
  }

  write(chunk: Uint8Array): void {
    for (const line of this.#cutter.cut(chunk)) this.#line(this.#decoder.end(line))
    if (this.#cutter.size > longestLine) this.#line(this.#decoder.write(this.#cutter.rest() ?? ''))
  }

  end(): void {
    const text = this.#decoder.end(this.#cutter.rest())
    if (text !== '') this.#line(text)
  }
}

/** A line of a JSON log with the endpoint it comes from; what handlers print becomes a document of its own. */
export function withEndpoint(line: string, endpoint: string): string {
  if (line.startsWith('{'))
    try {
      return printableJson(JSON.stringify({ endpoint, ...(JSON.parse(line) as object) }))
    } catch {
      // Printed by a handler.
    }
  return printableJson(JSON.stringify({ endpoint, event: 'output', text: line }))
}
