import { existsSync, readFileSync, statSync } from 'node:fs'
import type { Headers } from '../transport.ts'
import { Header } from '../../message/headers.ts'
import { parseTimeSpan } from '../../message/wire-formats.ts'
import { errorCode, nativeIdOf } from './layout.ts'
import { readMetadata } from './metadata.ts'
import type { StorageFolder } from './storage.ts'

export type Reading =
  | { readonly kind: 'message'; readonly headers: Headers; readonly body: Uint8Array; readonly timeToBeReceivedMs: number | undefined }
  | { readonly kind: 'unreadable'; readonly reason: string; readonly raw: Uint8Array; readonly headers: Headers | undefined }
  /** Somebody else took it meanwhile. */
  | { readonly kind: 'gone' }

const noBody = new Uint8Array()

/**
 * Reads a message whose metadata file is at `path`, wherever that is; the body is always in the queue's `.bodies`.
 *
 * @param withoutBody it must be there, but is not read of what an endpoint says failed; what others say of it may be in the body alone
 */
export function readMessage(storage: StorageFolder, queue: string, path: string, fileName: string, withoutBody = false): Reading {
  const text = readOr(path, (file) => readFileSync(file, 'utf8'))
  if (text === undefined) return { kind: 'gone' }
  const metadata = readMetadata(text)
  if ('reason' in metadata)
    return {
      kind: 'unreadable',
      reason: `the metadata file '${fileName}' cannot be read: ${metadata.reason}`,
      raw: rawBytes(path, text),
      headers: undefined,
    }
  const nativeId = nativeIdOf(fileName)
  const bodyPath = storage.bodyPath(queue, nativeId)
  const isLeftOut = withoutBody && metadata.headers[Header.FailedQ] !== undefined
  const body = isLeftOut ? (existsSync(bodyPath) ? noBody : undefined) : readOr(bodyPath, (file) => readFileSync(file))
  if (body) return { kind: 'message', headers: metadata.headers, body, timeToBeReceivedMs: timeToBeReceived(metadata.timeToBeReceived) }
  if (!statSync(path, { throwIfNoEntry: false })) return { kind: 'gone' }
  const reason = `the message of the metadata file '${fileName}' has no body file '.bodies/${nativeId}.body.txt'`
  return { kind: 'unreadable', reason, raw: Buffer.from(text), headers: metadata.headers }
}

function rawBytes(path: string, text: string): Uint8Array {
  return readOr(path, (file) => readFileSync(file)) ?? Buffer.from(text)
}

function readOr<T>(path: string, read: (path: string) => T): T | undefined {
  try {
    return read(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A span that cannot be read does not expire: a message that stays is better than one that vanishes. */
function timeToBeReceived(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  try {
    return parseTimeSpan(text)
  } catch {
    return undefined
  }
}
