/**
 * Control characters, halves of characters, and what is not seen: every code point that Unicode lets a font leave out (zero widths, fillers,
 * soft hyphens, variation selectors, tags, directions), annotation marks, and separators of lines.
 */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\p{Cs}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\ufff9-\ufffb]/gu

/**
 * Makes text of a message safe for a terminal: control characters, directions and what is not seen become `\xNN`, `\uNNNN` or `\u{NNNNN}`.
 * Line breaks and tabs stay, and so does what joins emoji; a carriage return before a line break goes.
 */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(unsafe, (character, at: number, whole: string) => {
    if (isOfEmoji(character, at, whole)) return character
    const code = character.codePointAt(0) as number
    const digits = code.toString(16)
    return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : code < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\u{${digits}}`
  })
}

/** The same for JSON: what a terminal would act on becomes an escape of JSON, so that it stays the same document. */
export function printableJson(json: string): string {
  return json.replace(unsafe, (character, at: number, whole: string) =>
    isOfEmoji(character, at, whole)
      ? character
      : character.replace(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  )
}

const picture = /^\p{Extended_Pictographic}/u
const endsWithPicture = /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Extended_Pictographic}\ufe0f)$/u

/** A joiner between two pictures, or the one selector that makes a character a picture. */
function isOfEmoji(character: string, at: number, text: string): boolean {
  if (character !== '\u200d' && character !== '\ufe0f') return false
  if (!endsWithPicture.test(text.slice(Math.max(0, at - 3), at))) return false
  return character === '\u200d' ? picture.test(text.slice(at + 1, at + 3)) : text[at - 1] !== '\ufe0f'
}

/** The same on one line: line breaks and tabs become blanks. */
export function printableLine(text: string): string {
  // Blanks before a line break are not looked for: in a text of nothing but blanks that would take forever.
  return printable(text.replace(/ ?[\r\n\t]\s*/g, ' '))
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g

/** Without control characters but tabs and line breaks, which become `\xNN`; the rest as it is. */
export function withoutControls(text: string): string {
  return text.replace(controls, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
