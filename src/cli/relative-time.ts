const units: readonly (readonly [name: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
]

/** `3 min ago`, `now`, `in 2 h`; `?` when the time is not known. */
export function relativeTime(ms: number | undefined, now: number): string {
  if (ms === undefined) return '?'
  const distance = Math.abs(now - ms)
  const [name, size] = units.find(([, unit]) => distance >= unit) ?? ['', 0]
  if (size === 0) return 'now'
  const text = `${Math.floor(distance / size)} ${name}`
  return ms > now ? `in ${text}` : `${text} ago`
}
