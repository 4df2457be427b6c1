/** A word of a command line that is shown to be copied into a shell. */
export function shellWord(text: string): string {
  return /^[\w@.:/*-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

/** The words that give these flags again, each with a blank before it; what was not given is left out. */
export function flagWords(flags: Readonly<Record<string, unknown>>, names: readonly string[]): string {
  const words = names.flatMap((name) => {
    const value = flags[name]
    if (value === true) return [`--${name}`]
    if (value === undefined || value === false) return []
    // What begins like a flag would be taken for one.
    return [value].flat().map((each) => `--${name}${String(each).startsWith('-') ? '=' : ' '}${shellWord(String(each))}`)
  })
  return words.map((word) => ` ${word}`).join('')
}
