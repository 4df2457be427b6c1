import { NsbError } from '../message/nsb-error.ts'

/** A queue that was named exactly does not exist; the suggestions name similar ones. */
export class QueueNotFoundError extends NsbError {
  constructor(queue: string, existing: readonly string[], where: string) {
    const near = nearMatches(queue, existing)
    super({
      code: 'NSB_QUEUE_NOT_FOUND',
      message: `There is no queue '${queue}' ${where}.`,
      suggestions:
        near.length > 0 ? [`Similar names: ${near.map((name) => `'${name}'`).join(', ')}`] : ['List the queues: nsb queues list'],
      details: { queue, near },
    })
  }
}

/** At most three names that differ in case, in a few letters, or by being part of each other; nearest first. */
export function nearMatches(name: string, among: readonly string[]): readonly string[] {
  const wanted = name.toLowerCase()
  const limit = Math.max(2, Math.floor(wanted.length / 4))
  const distanceTo = (other: string): number => {
    const candidate = other.toLowerCase()
    if (candidate === wanted) return 0
    if (candidate.includes(wanted) || wanted.includes(candidate)) return 1
    return editDistance(wanted, candidate)
  }
  return among
    .map((other) => ({ other, distance: distanceTo(other) }))
    .filter(({ distance }) => distance <= limit)
    .toSorted((a, b) => a.distance - b.distance || (a.other < b.other ? -1 : 1))
    .slice(0, 3)
    .map(({ other }) => other)
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++)
      row.push(
        Math.min((previous[j] as number) + 1, (row[j - 1] as number) + 1, (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    previous = row
  }
  return previous[b.length] as number
}
