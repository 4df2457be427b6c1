// Bidirectional overrides and isolates, zero-width and line separators: what makes shown text differ from what is there.
const invisible = '\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff'
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const unsafe = new RegExp(
  `[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f${invisible}]|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]`,
  'g',
)

/**
 * Makes text of a message safe for a terminal: control characters and bidirectional overrides become `\xNN` or `\uNNNN`.
 * Line breaks and tabs stay; a carriage return before a line break goes.
 */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(unsafe, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** The same for JSON: what a terminal would act on becomes an escape of JSON, so that it stays the same document. */
export function printableJson(json: string): string {
  return json.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The same on one line: line breaks and tabs become blanks. */
export function printableLine(text: string): string {
  // Blanks before a line break are not looked for: in a text of nothing but blanks that would take forever.
  return printable(text.replace(/ ?[\r\n\t]\s*/g, ' '))
}
