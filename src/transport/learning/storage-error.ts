import { NsbError } from '../../message/nsb-error.ts'
import { errorCode } from './layout.ts'

/** The storage folder cannot be used at the moment, whatever the message. */
export class StorageError extends NsbError {}

interface Refusal {
  readonly code: string
  readonly what: string
  next(storage: string): readonly string[]
}

const goesOn = 'A running endpoint goes on by itself afterwards; nothing is lost'
const full: Refusal = {
  code: 'NSB_DISK_FULL',
  what: 'The disk of the storage folder is full',
  next: (storage) => [`Make room: df -h '${storage}' and df -i '${storage}' show how much there is`, goesOn],
}
const denied: Refusal = {
  code: 'NSB_CANNOT_ACCESS',
  what: 'The storage folder may not be used by this user',
  next: (storage) => [`Look at the owner and the rights: ls -ld '${storage}'`, goesOn],
}
const tooManyFiles: Refusal = {
  code: 'NSB_TOO_MANY_OPEN_FILES',
  what: 'No more files can be opened for the storage folder',
  next: () => ['Raise the limit: ulimit -n 65536', 'Or handle fewer messages at the same time: concurrency: 1 in the endpoint'],
}
const noFolder: Refusal = {
  code: 'NSB_STORAGE_NOT_A_FOLDER',
  what: 'The storage folder is a file, or a folder in it or above it is one',
  next: (storage) => [`Look at it: ls -ld '${storage}'`, 'Or use another folder: --storage <dir>'],
}

/** What the operating system says, and what it means for the storage. */
const refusals: Readonly<Record<string, Refusal>> = {
  ENOSPC: full,
  EDQUOT: full,
  EROFS: {
    code: 'NSB_DISK_READ_ONLY',
    what: 'The disk of the storage folder is read-only',
    next: (storage) => [
      `See how it is mounted: findmnt -T '${storage}'. After an error a system may have made it read-only: dmesg tells`,
      goesOn,
    ],
  },
  EACCES: denied,
  EPERM: denied,
  EMFILE: tooManyFiles,
  ENFILE: tooManyFiles,
  EIO: {
    code: 'NSB_DISK_FAILED',
    what: 'The disk of the storage folder failed to read or write',
    next: (storage) => [`Look for the cause: dmesg, and df -h '${storage}' for the device`, goesOn],
  },
  ENOTDIR: noFolder,
}

/** The refusal of the operating system in words; any other error as it is. */
export function storageErrorOf(error: unknown, storage: string): unknown {
  const systemCode = errorCode(error)
  if (systemCode === undefined || !(error instanceof Error)) return error
  const refusal = Object.hasOwn(refusals, systemCode) ? refusals[systemCode] : isFileInTheWay(error) ? noFolder : undefined
  if (!refusal) return error
  return new StorageError({
    code: refusal.code,
    message: `${refusal.what}: '${storage}' (${error.message}).`,
    suggestions: refusal.next(storage),
    details: { storage, systemCode },
    cause: error,
  })
}

/** A message file whose id was chosen may exist too, and is another matter. */
function isFileInTheWay(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EEXIST' && error.syscall === 'mkdir'
}
