import { Header } from '../message/headers.ts'
import type { Headers } from '../transport/transport.ts'

/** What failing leaves on a message, and what a replay takes off again. */
const ofTheFailure: ReadonlySet<string> = new Set([
  Header.FailedQ,
  Header.TimeOfFailure,
  Header.Retries,
  Header.RetriesTimestamp,
  Header.DeliverAt,
  Header.ProcessingEndpoint,
  Header.ProcessingMachine,
  Header.ProcessingStarted,
  Header.ProcessingEnded,
  Header.HostId,
  Header.HostDisplayName,
])

/**
 * Reads a captured message, a line of `nsb errors export`, as its queue got it before it failed.
 *
 * @param line `nsb.message/1`: headers, and a body with its encoding
 * @throws {Error} when the line is something else
 */
export function readCaptured(line: string): { readonly headers: Headers; readonly body: Uint8Array } {
  const { body, headers, schema } = parsed(line)
  if (schema !== 'nsb.message/1') throw notCaptured(`its schema is ${JSON.stringify(schema) ?? 'missing'}`)
  if (!isObject(headers)) throw notCaptured('it has no headers')
  if (!isObject(body) || typeof body['data'] !== 'string') throw notCaptured('it has no body with data')
  const { data, encoding } = body
  if (encoding !== 'utf8' && encoding !== 'base64')
    throw notCaptured(`the encoding of its body is ${JSON.stringify(encoding) ?? 'missing'}`)
  const kept = Object.entries(headers).filter(([name]) => !ofTheFailure.has(name) && !name.startsWith(Header.ExceptionPrefix))
  return { headers: Object.fromEntries(kept.map(([name, value]) => [name, headerText(value)])), body: Buffer.from(data, encoding) }
}

function parsed(line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw notCaptured('it is no JSON', error)
  }
  if (!isObject(value)) throw notCaptured('it is no JSON object')
  return value
}

// A typed header of RabbitMQ keeps its type: {"!":"long","v":5}.
function headerText(value: unknown): string {
  return String(isObject(value) && '!' in value ? value['v'] : value)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function notCaptured(why: string, cause?: unknown): Error {
  return new Error(`This is no captured message: ${why}. Give one line of nsb errors export.`, { cause })
}
