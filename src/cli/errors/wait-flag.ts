/** oclif has no flag with an optional value: `--wait` alone becomes `--wait=60s`. */
export function withWaitValue(words: readonly string[]): string[] {
  const end = words.indexOf('--')
  const given = end < 0 ? words.length : end
  return words.map((word, index) => {
    const valueFollows = /^\d+(\.\d+)?(ms|s|m|h|d)$/.test(words[index + 1] ?? '')
    return word === '--wait' && index < given && !valueFollows ? '--wait=60s' : word
  })
}
