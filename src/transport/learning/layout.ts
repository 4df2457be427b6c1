import { NsbError } from '../../message/nsb-error.ts'

/** The folders inside a queue folder; every other entry of it is a message. */
export const queueFolders: ReadonlySet<string> = new Set(['.bodies', '.delayed', '.pending', '.committed'])

export const metadataEnding = '.metadata.txt'

/** Where nsb keeps what is no message, relative to the storage; no .NET component looks there. */
export const ownFolder = '.nsb'

const control = String.fromCharCode(0)

/**
 * Refuses what would leave the storage folder or hide in it, since an address becomes a folder name.
 *
 * @returns the address itself
 * @throws {NsbError} NSB_BAD_ADDRESS
 */
export function checkAddress(address: string): string {
  const why = whyNoFolderName(address)
  if (why === undefined) return address
  throw new NsbError({
    code: 'NSB_BAD_ADDRESS',
    message: `'${address}' is not an address of the learning transport: ${why}. An address is the name of a folder.`,
    suggestions: ['Use the name of an endpoint, such as Shop.Sales'],
    details: { address },
  })
}

/** Refuses event type and endpoint names that cannot be a folder or file name. @throws {NsbError} NSB_BAD_NAME */
export function checkName(name: string, what: string): string {
  const why = whyNoFolderName(name)
  if (why === undefined) return name
  throw new NsbError({ code: 'NSB_BAD_NAME', message: `'${name}' cannot be the name of ${what} in the learning transport: ${why}.` })
}

/** Whether it names exactly one entry inside a folder. */
export function isFolderName(name: string): boolean {
  return whyNoFolderName(name) === undefined
}

function whyNoFolderName(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name.includes('/') || name.includes('\\')) return 'it contains a path separator'
  if (name.startsWith('.')) return 'it starts with a dot'
  if (name.includes(control)) return 'it contains the character NUL'
  if (process.platform === 'win32' && /[<>:"|?*]|[. ]$/.test(name)) return 'Windows does not allow it as a folder name'
  if (name.length > 60 && Buffer.byteLength(name) > 255) return 'it is longer than 255 bytes'
  return undefined
}

/** The native id of a file: its name without the last extension, `.metadata` removed. @source LearningTransportMessagePump */
export function nativeIdOf(fileName: string): string {
  if (fileName.endsWith(metadataEnding)) return fileName.slice(0, -metadataEnding.length).replaceAll('.metadata', '')
  const dot = fileName.lastIndexOf('.')
  return (dot < 0 ? fileName : fileName.slice(0, dot)).replaceAll('.metadata', '')
}

/** The folder of a delayed message: the first whole UTC second that is not before `dueAt`, as `yyyyMMddHHmmss`. */
export function delayedFolderOf(dueAt: Date): string {
  const second = Math.min(Math.ceil(dueAt.getTime() / 1000) * 1000, Date.UTC(9999, 11, 31, 23, 59, 59))
  return new Date(second).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')
}

/** When a delayed folder is due, in ms since 1970; undefined when the name is not one of 14 digits that make a date. */
export function dueOf(folder: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(folder)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [number, number, number, number, number, number]
  const due = Date.UTC(year, month - 1, day, hour, minute, second)
  return delayedFolderOf(new Date(due)) === folder ? due : undefined
}

/** The system's name of a file error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
