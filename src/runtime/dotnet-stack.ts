import { existsSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errorText } from '../message/nsb-error.ts'
import { causeOf, isInstance, propertyOf, textProperty } from './thrown.ts'

// A long message must leave room for the frames, which are what failures are grouped by.
const longestMessage = 16_384
const longestCauseMessage = 2_048
const longestType = 500

/**
 * Renders what was thrown as .NET prints an exception: type and message, causes first, frames as `   at Type.Method() in /file:line 7`.
 * ServiceControl takes its groups from the first frame, and V8's own frames do not match what it looks for.
 *
 * @source ServiceControl StackTraceParser; spec errors.md 1.4
 */
export function dotnetStack(error: unknown): string {
  const chain = causesOf(error)
  const heads = chain.map(
    (link, index) =>
      `${index === 0 ? '' : ' ---> '}${dotnetTypeOf(link)}: ${errorText(link).slice(0, index === 0 ? longestMessage : longestCauseMessage)}`,
  )
  const frames = chain
    .toReversed()
    .flatMap((link, index) => [
      ...framesOf(link).map(formatFrame),
      ...(index < chain.length - 1 ? ['   --- End of inner exception stack trace ---'] : []),
    ])
  return [...heads, ...frames].join('\n')
}

/** `error.name` where it looks like a .NET name, else `Node.` and the class of what was thrown. */
export function dotnetTypeOf(error: unknown): string {
  const name = isInstance(error, Error) ? textProperty(error, 'name') : undefined
  if (name?.includes('.')) return name.slice(0, longestType)
  const type = textProperty(propertyOf(error, 'constructor'), 'name')
  if (typeof error === 'object' && error !== null)
    return `Node.${(type ?? (isInstance(error, Error) ? 'Error' : 'Object')).slice(0, longestType)}`
  return `Node.${error === null ? 'object' : typeof error}`
}

export interface StackFrame {
  readonly type: string
  readonly method: string
  /** Absolute path; undefined for frames inside Node. */
  readonly file: string | undefined
  readonly line: number
}

/** The frames of a V8 stack. */
export function framesOf(error: unknown): readonly StackFrame[] {
  const stack = isInstance(error, Error) ? textProperty(error, 'stack') : undefined
  if (stack === undefined) return []
  return stack.split('\n').flatMap((line) => parseFrame(line) ?? [])
}

const lineAndColumn = /:(\d+):\d+\)?$/

/** `at async Type.method [as other] (place:line:column)`, or the place alone. A text that was thrown may look like one, or nearly so. */
function parseFrame(line: string): StackFrame | undefined {
  const end = line.length > 2000 || !/^\s*at /.test(line) ? null : lineAndColumn.exec(line)
  if (end === null) return undefined
  const frame = line.slice(0, end.index).trimStart().slice('at '.length)
  const open = frame.lastIndexOf('(')
  const path = open < 0 ? withoutKind(frame) : frame.slice(open + 1)
  if (path.includes(')') || (open >= 0 && frame[open - 1] !== ' ')) return undefined
  const place = decodePath(path)
  const file = place.startsWith('/') || /^[A-Za-z]:[\\/]/.test(place) ? place : undefined
  const called = open < 0 ? '' : withoutAlias(withoutKind(frame.slice(0, open - 1))).trim()
  const dot = called.lastIndexOf('.')
  const owner = dot > 0 ? called.slice(0, dot) : moduleOf(place)
  const method = dot > 0 ? called.slice(dot + 1) : called === '' ? '<anonymous>' : called
  return { type: word(owner), method: word(method), file, line: Number(end[1]) }
}

const withoutKind = (called: string): string => called.replace(/^(?:async )?(?:new )?/, '')

/** V8 adds ` [as name]` where a method is called by another name. */
function withoutAlias(called: string): string {
  const alias = called.endsWith(']') ? called.indexOf(' [as ', called.lastIndexOf(']', called.length - 2) + 1) : -1
  return alias < 0 ? called : called.slice(0, alias)
}

// Frames of this library are marked as such, so that a listing can fold them like those of .NET's.
function formatFrame({ file, line, method, type }: StackFrame): string {
  const owner = file !== undefined && ownFolders().some((folder) => file.startsWith(folder)) ? `nsbus.${type}` : type
  return `   at ${owner}.${method}()${file === undefined ? '' : ` in ${file}:line ${line}`}`
}

let folders: readonly string[] | undefined

function ownFolders(): readonly string[] {
  if (folders) return folders
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder)
  folders = ['src', 'dist', 'commands'].map((name) => join(folder, name, sep))
  return folders
}

function causesOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [error]
  // A cause may lead back to itself, and ten levels tell enough.
  for (let next = causeOf(error); next !== undefined && !chain.includes(next) && chain.length < 10; next = causeOf(next)) chain.push(next)
  return chain
}

function decodePath(place: string): string {
  if (!place.startsWith('file://')) return place
  try {
    return decodeURIComponent(place.slice('file://'.length).split('?', 1)[0] as string)
  } catch {
    return place.slice('file://'.length)
  }
}

function moduleOf(place: string): string {
  const name = place.split(/[\\/]/).at(-1) ?? place
  return name.replace(/\.[cm]?[jt]s$/, '') || 'module'
}

// A blank or a bracket in a name would end the frame too early.
function word(text: string): string {
  return text.replace(/[\s()]+/g, '_')
}
