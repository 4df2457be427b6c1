/**
 * Loaded before a program (`node --import`): ends its process the hard way before one of its calls of `node:fs`. See `killed-before.ts`,
 * which starts programs with it.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/** In the environment variable `NSB_TEST_KILL`, as JSON. */
export interface Kill {
  /** The name of a function of `node:fs`, such as `rmdirSync`; undefined: every function that changes something. */
  readonly call?: string
  /** Before which call; 1 is the first, 0 kills never. */
  readonly number: number
  /** Only calls count that are about something below one of these folders. */
  readonly below: readonly string[]
  /** When the process ends by itself, it writes into this file how many calls there were. */
  readonly countInto?: string
}

type Call = (...values: unknown[]) => unknown

const changing = [
  'appendFileSync',
  'copyFileSync',
  'fdatasyncSync',
  'ftruncateSync',
  'linkSync',
  'mkdirSync',
  'renameSync',
  'rmSync',
  'rmdirSync',
  'symlinkSync',
  'truncateSync',
  'unlinkSync',
  'utimesSync',
  'writeFileSync',
  'writeSync',
]
const changingLater = ['appendFile', 'mkdir', 'rename', 'rm', 'rmdir', 'unlink', 'writeFile']
const changingHandle = ['appendFile', 'datasync', 'truncate', 'write', 'writeFile']

const { below, call, countInto, number } = JSON.parse(process.env['NSB_TEST_KILL'] ?? '{"number":0,"below":[]}') as Kill
const { writeFileSync } = fs
/** Files that are open, of those that count. */
const files = new Set<unknown>()
let calls = 0

const isBelow = (place: unknown): boolean =>
  files.has(place) || (typeof place === 'string' && below.some((folder) => place.startsWith(folder)))

/** @param places what the call is about */
function count(...places: readonly unknown[]): void {
  if (!places.some(isBelow)) return
  calls++
  if (calls === number) process.kill(process.pid, 'SIGKILL')
}

function wrap(holder: object, name: string): void {
  const calls = holder as Record<string, Call>
  const original = calls[name]
  if (original === undefined) return
  calls[name] = function counted(this: unknown, ...values) {
    count(values[0], name.startsWith('rename') || name.startsWith('link') ? values[1] : undefined)
    return original.apply(this, values)
  }
}

for (const name of call === undefined
  ? changing
  : [call].filter((each) => typeof (fs as unknown as Record<string, unknown>)[each] === 'function'))
  wrap(fs, name)
if (call === undefined) for (const name of changingLater) wrap(fs.promises, name)

const { closeSync, openSync, promises } = fs
const open = promises.open.bind(promises)
fs.openSync = (path, flags, mode): number => {
  // Opened to be written, a file is made.
  if (call === undefined && flags !== undefined && flags !== 'r') count(path)
  if (call === 'openSync') count(path)
  const file = openSync(path, flags, mode)
  if (isBelow(path)) files.add(file)
  return file
}
fs.closeSync = (file): void => {
  files.delete(file)
  closeSync(file)
}
promises.open = async (path, flags, mode): Promise<fs.promises.FileHandle> => {
  if (call === undefined && flags !== undefined && flags !== 'r') count(path)
  const file = await open(path, flags, mode)
  if (!isBelow(path)) return file
  files.add(file.fd)
  const handle = file as unknown as Record<string, Call>
  if (call === undefined)
    for (const name of changingHandle) {
      const original = (handle[name] as Call).bind(file)
      handle[name] = (...values): unknown => {
        count(file.fd)
        return original(...values)
      }
    }
  const { fd } = file
  const close = file.close.bind(file)
  file.close = (): Promise<void> => {
    files.delete(fd)
    return close()
  }
  return file
}
syncBuiltinESMExports()

if (countInto !== undefined) process.on('exit', () => writeFileSync(countInto, String(calls)))
