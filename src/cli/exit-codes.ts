/** What an exit code means; part of the interface. */
export const Exit = {
  done: 0,
  unexpected: 1,
  usage: 2,
  partly: 3,
  notFound: 4,
  cannotReach: 5,
  refused: 6,
  timedOut: 7,
  negative: 8,
  interrupted: 130,
  terminated: 143,
} as const

/** The codes that do not end with 2. Every other NsbError is about usage, configuration or validation: nothing was done. */
const exitCodes: Readonly<Record<string, number>> = {
  NSB_NOT_FOUND: Exit.notFound,
  NSB_QUEUE_NOT_FOUND: Exit.notFound,
  NSB_MESSAGE_NOT_FOUND: Exit.notFound,
  NSB_NOTHING_MATCHED: Exit.notFound,
  NSB_NEEDS_CONFIRMATION: Exit.refused,
  NSB_NOT_CONFIRMED: Exit.refused,
  NSB_QUEUE_HAS_CONSUMER: Exit.refused,
  NSB_QUEUE_LOCKED: Exit.refused,
  NSB_INTERRUPTED: Exit.interrupted,
  NSB_TERMINATED: Exit.terminated,
}

export function exitCodeOf(code: string): number {
  return exitCodes[code] ?? Exit.usage
}
