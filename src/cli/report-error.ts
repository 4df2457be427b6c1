import { dirname } from 'node:path'
import { NsbError, errorText } from '../message/nsb-error.ts'
import { nearest } from '../message/nearest.ts'
import { withoutPasswords } from '../toolkit/config/secrets.ts'
import type { Colours } from './colour.ts'
import { Exit, exitCodeOf } from './exit-codes.ts'
import { printable } from './printable.ts'

/** An error as the command line shows it. */
export interface ReportedError {
  readonly code: string
  readonly message: string
  readonly suggestions: readonly string[]
  readonly exitCode: number
  readonly details: Readonly<Record<string, unknown>>
  readonly stack: string | undefined
}

type KnownFlags = Readonly<Record<string, { readonly char?: string; readonly hidden?: boolean }>>

/** What oclif's parser throws; recognised by shape, because the classes are not exported. */
interface ParseError extends Error {
  readonly parse?: { readonly input?: { readonly flags?: KnownFlags } }
  readonly flags?: readonly string[]
  readonly args?: readonly unknown[]
}

const usageHint = '--help shows the usage'

const systemCodes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
}

/** Turns anything thrown into what is printed, and the exit code. What was typed may hold a password, also where it does not belong. */
export function reportedError(error: unknown): ReportedError {
  const { message, stack, suggestions, ...rest } = namedError(error)
  return {
    ...rest,
    message: withoutPasswords(message),
    suggestions: suggestions.map(withoutPasswords),
    details: shownDetails(rest.details) as ReportedError['details'],
    stack: stack === undefined ? undefined : withoutPasswords(stack),
  }
}

function shownDetails(value: unknown): unknown {
  if (typeof value === 'string') return withoutPasswords(value)
  if (Array.isArray(value)) return value.map(shownDetails)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shownDetails(each)]))
}

function namedError(error: unknown): ReportedError {
  const stack = error instanceof Error ? stackWithCauses(error) : undefined
  if (isNsbError(error))
    return {
      code: error.code,
      message: usageText(error.message),
      suggestions: error.suggestions,
      exitCode: exitCodeOf(error.code),
      details: error.details,
      stack,
    }
  if (error instanceof Error && !('parse' in error) && isUsageError(error))
    return { code: 'NSB_BAD_FLAG', message: usageText(error.message), suggestions: [usageHint], exitCode: Exit.usage, details: {}, stack }
  if (error instanceof Error && 'parse' in error) return { ...parseError(error as ParseError), stack }
  const message = error instanceof Error ? error.message : String(error)
  const systemCode = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  if (systemCode !== undefined && Object.hasOwn(systemCodes, systemCode))
    return {
      code: 'NSB_CANNOT_ACCESS',
      message: `${systemCodes[systemCode]}: ${message}`,
      suggestions: lookAt(systemCode, (error as NodeJS.ErrnoException).path),
      exitCode: Exit.cannotReach,
      details: { systemCode },
      stack,
    }
  return {
    code: 'NSB_UNEXPECTED',
    message: message === '' ? 'an error without text' : message,
    suggestions: ['This is not an error nsb knows, so probably a bug; -vv shows where it comes from'],
    exitCode: Exit.unexpected,
    details: {},
    stack,
  }
}

function lookAt(systemCode: string, path: string | undefined): readonly string[] {
  const at = path ?? '<path>'
  return [systemCode === 'ENOSPC' || systemCode === 'EROFS' ? `df -h ${at}` : `ls -ld ${dirname(at)} ${at}`]
}

// Some flags are refused by oclif without its own class for it.
function isUsageError(error: Error): boolean {
  return (error as { oclif?: { exit?: number } }).oclif?.exit === 2 || error.message.startsWith('Parsing --')
}

/** oclif's text without its frame: `Parsing --limit \n\tExpected an integer …\nSee more help with --help`. */
function usageText(message: string): string {
  return message.replace(/(?<!\n)\n+See more help with --help\s*$/, '').replace(/^Parsing (--[\w-]+)\s+/, '$1: ')
}

// A project may bring a second copy of the library, whose class is another one.
function isNsbError(error: unknown): error is NsbError {
  return (
    error instanceof NsbError ||
    (error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('NSB_') && 'suggestions' in error)
  )
}

function parseError(error: ParseError): Omit<ReportedError, 'stack'> {
  const message = usageText(error.message)
  const usage = { exitCode: Exit.usage, details: {} }
  if (Array.isArray(error.flags)) {
    const known = error.parse?.input?.flags ?? {}
    const suggestions = error.flags.flatMap((flag) => meantFlag(flag, known) ?? []).map((name) => `Did you mean ${name}?`)
    const unknown = error.flags.map((flag) => `'${flag}'`).join(', ')
    return {
      ...usage,
      code: 'NSB_UNKNOWN_FLAG',
      message: `unknown flag${error.flags.length > 1 ? 's' : ''} ${unknown}`,
      suggestions: suggestions.length > 0 ? suggestions : ['--help lists the flags'],
      details: { flags: error.flags },
    }
  }
  const lower = message.charAt(0).toLowerCase() + message.slice(1)
  return {
    ...usage,
    code: Array.isArray(error.args) ? 'NSB_BAD_ARGUMENTS' : 'NSB_BAD_FLAG',
    message: lower,
    suggestions: [usageHint],
  }
}

/** The flag that was probably meant. One letter is a part of almost every word and near every other letter: it has to be the same one. */
function meantFlag(given: string, flags: KnownFlags): string | undefined {
  const [flag = given] = given.split('=', 1)
  const word = flag.replace(/^-+/, '')
  const known = Object.entries(flags).filter(([, { hidden }]) => hidden !== true)
  if (word.length === 1) return known.flatMap(([, { char }]) => (char?.toLowerCase() === word.toLowerCase() ? `-${char}` : [])).at(0)
  const names = known.map(([name]) => name)
  const dashed = (name: string): string => `--${name}`
  // With its dashes `queue` is no part of `error-queue`.
  const [meant] = [...nearest(flag, names.map(dashed)), ...nearest(word, names).map(dashed)]
  return meant
}

function stackWithCauses(error: Error): string {
  const cause =
    error.cause === undefined ? '' : `\ncaused by ${error.cause instanceof Error ? stackWithCauses(error.cause) : errorText(error.cause)}`
  return `${error.stack ?? error.message}${cause}`
}

/** The text for people: `Error CODE: message`, further lines indented, then what to try. */
export function errorLines(error: ReportedError, colours: Colours, withStack: boolean): string {
  const [first = '', ...further] = printable(error.message).split('\n')
  return [
    `${colours.failure(`Error ${error.code}:`)} ${first}`,
    ...further.map((line) => `  ${line}`),
    ...error.suggestions.map((suggestion) => `  Try: ${printable(suggestion)}`),
    ...(withStack && error.stack !== undefined
      ? printable(error.stack)
          .split('\n')
          .map((line) => colours.dim(`  ${line}`))
      : []),
  ].join('\n')
}

/** The document for scripts. */
export function errorDocument(error: ReportedError): object {
  const hint = error.suggestions.join('\n')
  return {
    schema: 'nsb.error/1',
    error: {
      code: error.code,
      message: error.message,
      ...(hint === '' ? {} : { hint }),
      exitCode: error.exitCode,
      ...(Object.keys(error.details).length === 0 ? {} : { details: error.details }),
    },
  }
}
