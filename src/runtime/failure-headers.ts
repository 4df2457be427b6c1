import { Header } from '../message/headers.ts'
import { dotnetStack, dotnetTypeOf } from './dotnet-stack.ts'

const longestMessage = 16_384
const longestStack = 32 * 1024
const longestV8Stack = 8 * 1024
const longestDatum = 1024
const mostData = 20

/**
 * What the error queue is told about anything that was thrown, in the words of .NET: ServicePulse then groups it like any failure.
 *
 * @returns the `NServiceBus.ExceptionInfo.*` headers
 */
export function exceptionHeaders(error: unknown): Record<string, string> {
  const headers: Record<string, string> = { [Header.ExceptionType]: dotnetTypeOf(error) }
  const cause = error instanceof Error ? error.cause : undefined
  if (cause !== undefined && cause !== null) headers[Header.InnerExceptionType] = dotnetTypeOf(cause)
  const helpLink = own(error, 'helpLink')
  if (typeof helpLink === 'string') headers[Header.ExceptionHelpLink] = helpLink
  headers[Header.ExceptionMessage] = messageOf(error).slice(0, longestMessage)
  const source = own(error, 'source')
  headers[Header.ExceptionSource] = typeof source === 'string' ? source : 'node'
  headers[Header.ExceptionStackTrace] = cut(dotnetStack(error), longestStack)
  for (const [key, value] of dataOf(error)) headers[Header.ExceptionData + key] = cut(value, longestDatum)
  const stack = error instanceof Error ? error.stack : undefined
  if (typeof stack === 'string') headers[`${Header.ExceptionData}node.stack`] = cut(stack, longestV8Stack)
  return headers
}

export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? String(error.message) : String(error)
  } catch {
    return 'something that has no text was thrown'
  }
}

function dataOf(error: unknown): readonly [string, string][] {
  if (typeof error !== 'object' || error === null) return []
  const known = new Set(['name', 'message', 'stack', 'cause', 'helpLink', 'source'])
  return Object.keys(error)
    .filter((key) => !known.has(key) && key.trim() !== '')
    .map((key) => [key, own(error, key)] as const)
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    .slice(0, mostData)
    .map(([key, value]) => [key, String(value)])
}

// A getter on an error must not hide the error it belongs to.
function own(error: unknown, key: string): unknown {
  try {
    return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[key] : undefined
  } catch {
    return undefined
  }
}

// Brokers limit headers, and a message that cannot reach the error queue fails for ever.
function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}\n   … cut by nsb, ${text.length - longest} characters more`
}
