import { printableJson } from '../printable.ts'

/** Passes text on in whole lines. */
export class Lines {
  #rest = ''
  readonly #line: (line: string) => void

  constructor(line: (line: string) => void) {
    this.#line = line
  }

  write(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
  }

  end(): void {
    if (this.#rest !== '') this.#line(this.#rest)
    this.#rest = ''
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
