/** A printed document whose headers stand in the order of their names, as newer brokers give them out. */
export function sortedHeaders(text: string): string {
  return text.replaceAll(/("headers": \{\n)([^}]*)(\n *\})/g, (_, begin: string, lines: string, end: string) => {
    const sorted = lines
      .split('\n')
      .map((line) => line.replace(/,$/, ''))
      .toSorted()
    return `${begin}${sorted.join(',\n')}${end}`
  })
}
