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
  NSB_GROUP_NOT_FOUND: Exit.notFound,
  NSB_MESSAGE_TAKEN: Exit.notFound,
  NSB_NOTHING_MATCHED: Exit.notFound,
  NSB_OPERATION_NOT_FOUND: Exit.notFound,
  NSB_NEEDS_CONFIRMATION: Exit.refused,
  NSB_NOT_CONFIRMED: Exit.refused,
  NSB_QUEUE_HAS_CONSUMER: Exit.refused,
  NSB_QUEUE_LOCKED: Exit.refused,
  NSB_UNTRUSTED_FOLDER: Exit.refused,
  NSB_OPERATION_RUNNING: Exit.refused,
  NSB_FILE_EXISTS: Exit.refused,
  NSB_FILE_LEFT_ALONE: Exit.partly,
  NSB_BAD_LINE: Exit.partly,
  NSB_CANNOT_RESUME: Exit.partly,
  NSB_HASH_MISMATCH: Exit.partly,
  NSB_NOT_SETTLED: Exit.partly,
  NSB_TOO_LARGE_TO_SAVE: Exit.partly,
  NSB_ARCHIVE_UNWRITABLE: Exit.cannotReach,
  NSB_CANNOT_ACCESS: Exit.cannotReach,
  NSB_DISK_FAILED: Exit.cannotReach,
  NSB_DISK_FULL: Exit.cannotReach,
  NSB_DISK_READ_ONLY: Exit.cannotReach,
  NSB_STORAGE_GONE: Exit.cannotReach,
  NSB_STORAGE_REMOVED: Exit.cannotReach,
  NSB_TOO_MANY_OPEN_FILES: Exit.cannotReach,
  NSB_BROKER_REFUSED: Exit.cannotReach,
  NSB_CHANNEL_CLOSED: Exit.cannotReach,
  NSB_CONNECTION_BROKEN: Exit.cannotReach,
  NSB_CONNECTION_FAILED: Exit.cannotReach,
  NSB_CONNECTION_LOST: Exit.cannotReach,
  NSB_CONNECTION_REFUSED: Exit.cannotReach,
  NSB_CONNECTION_TIMED_OUT: Exit.cannotReach,
  NSB_HOST_NOT_FOUND: Exit.cannotReach,
  NSB_JOURNAL_UNWRITABLE: Exit.cannotReach,
  NSB_LOGIN_REFUSED: Exit.cannotReach,
  NSB_MANAGEMENT_ELSEWHERE: Exit.cannotReach,
  NSB_MANAGEMENT_UNREACHABLE: Exit.cannotReach,
  NSB_NACKED: Exit.cannotReach,
  NSB_NOT_AMQP: Exit.cannotReach,
  NSB_NOTHING_DELIVERED: Exit.cannotReach,
  NSB_NOT_PERMITTED: Exit.cannotReach,
  NSB_NOT_SENT: Exit.cannotReach,
  NSB_NO_CONFIRM: Exit.cannotReach,
  NSB_QUEUE_SILENT: Exit.cannotReach,
  NSB_TLS_FAILED: Exit.cannotReach,
  NSB_VIRTUAL_HOST: Exit.cannotReach,
  NSB_UNROUTABLE: Exit.notFound,
  NSB_HOLD_TOO_SMALL: Exit.refused,
  NSB_LOOKS_EXHAUSTED: Exit.refused,
  NSB_INTERRUPTED: Exit.interrupted,
  NSB_TERMINATED: Exit.terminated,
}

/** Of those that end with 5: a disk or a folder of this machine is the matter, and no connection. */
const ofThisMachine: ReadonlySet<string> = new Set([
  'NSB_ARCHIVE_UNWRITABLE',
  'NSB_CANNOT_ACCESS',
  'NSB_DISK_FAILED',
  'NSB_DISK_FULL',
  'NSB_DISK_READ_ONLY',
  'NSB_JOURNAL_UNWRITABLE',
  'NSB_STORAGE_GONE',
  'NSB_STORAGE_REMOVED',
  'NSB_TOO_MANY_OPEN_FILES',
])

/** Is it about the connection to a broker? */
export function isOfConnection(code: string): boolean {
  return exitCodeOf(code) === Exit.cannotReach && !ofThisMachine.has(code)
}

export function exitCodeOf(code: string): number {
  return exitCodes[code] ?? Exit.usage
}

/** Of a command that has done its work: {@link Exit.partly} tells more. */
export function isMilderThanPartly(code: number | string | null | undefined): boolean {
  return code === undefined || code === Exit.done || code === Exit.notFound || code === Exit.timedOut || code === Exit.negative
}
