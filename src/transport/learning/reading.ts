import { accessSync, constants } from 'node:fs'
import type { Headers } from '../transport.ts'
import { Header } from '../../message/headers.ts'
import { parseTimeSpan } from '../../message/wire-formats.ts'
import { errorCode, nativeIdOf } from './layout.ts'
import { readMetadata } from './metadata.ts'
import { type FileReading, lookAt, lookAtFile, readPlainFile, whyOf } from './plain-file.ts'
import type { StorageFolder } from './storage.ts'

export type Reading =
  | { readonly kind: 'message'; readonly headers: Headers; readonly body: Uint8Array; readonly timeToBeReceivedMs: number | undefined }
  /** It is no message, and all that is known of it is here. */
  | { readonly kind: 'unreadable'; readonly reason: string; readonly raw: Uint8Array; readonly headers: Headers | undefined }
  /** It may be a message, and cannot be read here or now: nobody may take away what nobody has read. */
  | { readonly kind: 'refused'; readonly path: string; readonly why: string }
  /** Somebody else took it meanwhile. */
  | { readonly kind: 'gone' }

/** With headers of more than that nothing can be done. */
export const largestMetadata = 16 * 1024 * 1024
/** .NET takes about four times as much; a body is in memory as a whole, and not only once. */
export const largestBody = 512 * 1024 * 1024

const noBody = Buffer.alloc(0)

/**
 * Reads a message whose metadata file is at `path`, wherever that is; the body is always in the queue's `.bodies`.
 *
 * @param withoutBody it must be there, but is not read of what an endpoint says failed; what others say of it may be in the body alone
 */
export function readMessage(storage: StorageFolder, queue: string, path: string, fileName: string, withoutBody = false): Reading {
  const file = readPlainFile(path, largestMetadata)
  if (file.kind === 'gone') return file
  if (file.kind !== 'read') return refused(path, file)
  const metadata = readMetadata(file.bytes.toString('utf8'))
  if ('reason' in metadata)
    return {
      kind: 'unreadable',
      reason: `the metadata file '${fileName}' cannot be read: ${metadata.reason}`,
      raw: file.bytes,
      headers: undefined,
    }
  const { headers } = metadata
  const nativeId = nativeIdOf(fileName)
  const bodyPath = storage.bodyPath(queue, nativeId)
  const body = withoutBody && headers[Header.FailedQ] !== undefined ? lookAtBody(bodyPath) : readPlainFile(bodyPath, largestBody)
  if (body.kind === 'read')
    return { kind: 'message', headers, body: body.bytes, timeToBeReceivedMs: timeToBeReceived(metadata.timeToBeReceived) }
  if (body.kind === 'refused') return refused(bodyPath, body)
  if (!lookAt(path)) return { kind: 'gone' }
  const what = body.kind === 'gone' ? 'has no body file' : `has ${body.what} where its body file should be,`
  const reason = `the message of the metadata file '${fileName}' ${what} '.bodies/${nativeId}.body.txt'`
  return { kind: 'unreadable', reason, raw: file.bytes, headers }
}

function refused(path: string, file: Extract<FileReading, { kind: 'noFile' | 'refused' }>): Reading {
  return { kind: 'refused', path, why: file.kind === 'noFile' ? `is ${file.what}` : file.why }
}

/** What reading the file would give, but for its bytes. */
function lookAtBody(path: string): FileReading {
  let isReadable = false
  const wrong = lookAtFile(path, largestBody, ({ mode, uid }) => {
    isReadable = (mode & constants.S_IROTH) !== 0 || ((mode & constants.S_IRUSR) !== 0 && uid === process.geteuid?.())
  })
  if (wrong) return wrong
  // The system is only asked where the mode of the file does not say it already.
  return isReadable ? { kind: 'read', bytes: noBody } : mayRead(path)
}

function mayRead(path: string): FileReading {
  try {
    accessSync(path, constants.R_OK)
    return { kind: 'read', bytes: noBody }
  } catch (error) {
    const code = errorCode(error)
    return code === 'ENOENT' ? { kind: 'gone' } : { kind: 'refused', why: whyOf(code) }
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
