import { Header } from '../message/headers.ts'
import { errorText } from '../message/nsb-error.ts'
import { dotnetStack, dotnetTypeOf } from './dotnet-stack.ts'
import { causeOf, isInstance, keysOf, propertyOf, textProperty } from './thrown.ts'

const longestMessage = 16_384
const longestStack = 32 * 1024
const longestV8Stack = 8 * 1024
const longestDatum = 1024
const mostData = 20

/**
 * What the error queue is told about anything that was thrown, in the words of .NET: ServicePulse then groups it like any failure.
 *
 * @param source what `Source` says where the error does not: in .NET the name of the assembly
 * @returns the `NServiceBus.ExceptionInfo.*` headers
 */
export function exceptionHeaders(error: unknown, source: string): Record<string, string> {
  const headers: Record<string, string> = { [Header.ExceptionType]: dotnetTypeOf(error) }
  const cause = causeOf(error)
  if (cause !== undefined) headers[Header.InnerExceptionType] = dotnetTypeOf(cause)
  const helpLink = textProperty(error, 'helpLink')
  if (helpLink !== undefined) headers[Header.ExceptionHelpLink] = helpLink
  headers[Header.ExceptionMessage] = errorText(error).slice(0, longestMessage)
  headers[Header.ExceptionSource] = textProperty(error, 'source') ?? source
  headers[Header.ExceptionStackTrace] = cut(dotnetStack(error), longestStack)
  for (const [key, value] of dataOf(error)) headers[Header.ExceptionData + key] = cut(value, longestDatum)
  const stack = isInstance(error, Error) ? textProperty(error, 'stack') : undefined
  if (stack !== undefined) headers[`${Header.ExceptionData}node.stack`] = cut(stack, longestV8Stack)
  return headers
}

function dataOf(error: unknown): readonly [string, string][] {
  const known = new Set(['name', 'message', 'stack', 'cause', 'helpLink', 'source'])
  return keysOf(error)
    .filter((key) => !known.has(key) && key.trim() !== '')
    .map((key) => [key, propertyOf(error, key)] as const)
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    .slice(0, mostData)
    .map(([key, value]) => [key, String(value)])
}

// Brokers limit headers, and a message that cannot reach the error queue fails for ever.
function cut(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}\n   … cut by nsb, ${text.length - longest} characters more`
}
