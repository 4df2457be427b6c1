/** Edits (insert, delete, replace, swap of neighbours) that turn one text into the other. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, (beforeLast[j - 2] as number) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] as number
}

/** Steps of comparing: there may be a hundred thousand queues, with long names. */
const mostSteps = 20_000_000

/** The names that were probably meant, nearest first, at most three; upper and lower case are the same. */
export function nearest(wrong: string, names: Iterable<string>): string[] {
  const word = wrong.toLowerCase().slice(0, 200)
  const allowed = Math.max(1, Math.floor(word.length / 3))
  let steps = 0
  return [...new Set(names)]
    .map((name) => {
      const other = name.toLowerCase().slice(0, 200)
      steps += word.length * other.length
      const isFar = Math.abs(word.length - other.length) > allowed || steps > mostSteps
      const distance = isFar ? Number.POSITIVE_INFINITY : editDistance(word, other)
      return {
        name,
        distance:
          distance <= allowed
            ? distance
            : word.length >= 2 && (other.includes(word) || word.includes(other))
              ? allowed
              : Number.POSITIVE_INFINITY,
      }
    })
    .filter((found) => found.distance < Number.POSITIVE_INFINITY)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map((found) => found.name)
}
