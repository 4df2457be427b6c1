import { isUtf8 } from 'node:buffer'
import { closeSync, futimesSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { FailedMessage } from '../../../message/failure.ts'
import { Header } from '../../../message/headers.ts'
import type { HeldMessage, Headers } from '../../../transport/transport.ts'
import { headersToGroup } from '../select/group.ts'
import { type Frame, innermostFrame } from '../select/stack-title.ts'
import { type End, type Head, asBefore, bodyMark, keptNames } from './snapshot-format.ts'

const mostEntries = 100_000
/** Bytes that wait to be written. What is given back to a broker takes so long that there is time for them then. */
const mostWaiting = 14 * 1024 * 1024
/** They wait as bytes and in pieces, since texts would be copied twice more. */
const pieceBytes = 128 * 1024
/** Of one body, and of all. */
const largestBody = 64 * 1024
export const mostBodies = 32 * 1024 * 1024

/** Writes entries as they are seen. A folder that cannot be written means no snapshot, and nothing else. */
export class SnapshotWriter {
  readonly #path: string
  readonly #draft: string
  readonly #takenAt: number
  #file: number | undefined
  /** Full pieces, and the one that is being filled. */
  #full: Buffer[] = []
  #piece = Buffer.allocUnsafe(pieceBytes)
  #used = 0
  #waiting = 0
  #count = 0
  #roomForBodies: number
  readonly #before: (string | undefined)[] = []
  #frame: Frame | undefined
  #stack: string | undefined

  constructor(path: string, head: Head, roomForBodies: number) {
    this.#path = path
    this.#draft = `${path}.${process.pid}`
    this.#takenAt = head.takenAt
    this.#roomForBodies = roomForBodies
    this.#try(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      this.#file = openSync(this.#draft, 'w', 0o600)
    })
    this.#addLine(JSON.stringify(head))
  }

  add(message: HeldMessage, failed: FailedMessage): void {
    if (this.#file === undefined) return
    if (++this.#count > mostEntries) return this.drop()
    const { enqueuedAt, nativeId, unreadable } = message
    const headers = headersToGroup(failed, message.headers)
    const isFailure = failed.kind === 'failure'
    // Most were never replayed, and what else is kept of others says nothing of a failure.
    const others = isFailure && failed.replayed === 0 && headers[Header.ReplayCount] === undefined ? null : othersKept(message.headers)
    const line: unknown[] = [nativeId, enqueuedAt, unreadable, others, isFailure ? null : failed]
    for (let index = 0; index < keptNames.length; index++) {
      const name = keptNames[index] as string
      const value = name === Header.ExceptionStackTrace ? this.#shortStack(headers) : headers[name]
      line.push(value === this.#before[index] ? asBefore : value)
      this.#before[index] = value
    }
    this.#addLine(JSON.stringify(line))
    this.#addBody(message.body)
    while (this.#waiting >= mostWaiting) this.#writeSome()
  }

  #addBody(body: Uint8Array): void {
    if (body.length > largestBody || body.length > this.#roomForBodies) return
    this.#roomForBodies -= body.length
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const isOneLine = isUtf8(bytes) && !bytes.includes(0x0a) && !bytes.includes(0x0d)
    if (!isOneLine) return this.#addLine(`${bodyMark.base64}${bytes.toString('base64')}`)
    const piece = this.#pieceWith(bytes.length + 2)
    piece.write(bodyMark.text, this.#used, 'latin1')
    bytes.copy(piece, this.#used + 1)
    piece[this.#used + 1 + bytes.length] = 0x0a
    this.#used += bytes.length + 2
  }

  #addLine(text: string): void {
    // A character takes three bytes at most.
    const piece = this.#pieceWith(3 * text.length + 1)
    this.#used += piece.write(text, this.#used, 'utf8')
    piece[this.#used++] = 0x0a
  }

  /** With room for so many bytes. */
  #pieceWith(bytes: number): Buffer {
    if (this.#used + bytes > this.#piece.length) {
      this.#full.push(this.#piece.subarray(0, this.#used))
      this.#waiting += this.#used
      this.#piece = Buffer.allocUnsafe(Math.max(pieceBytes, bytes))
      this.#used = 0
    }
    return this.#piece
  }

  /** The one frame of a stack that decides about its group. */
  #shortStack(headers: Headers): string | undefined {
    const frame = innermostFrame(headers)
    // Frames are remembered by who reads them, so most are the same object.
    if (frame !== this.#frame) {
      this.#frame = frame
      this.#stack = frame && `   at ${frame.type}.${frame.method}${frame.parameters}`
    }
    return this.#stack
  }

  /** Writes what waits, a little at a time. From then on it stands for the queue. */
  async keep(): Promise<void> {
    this.#addLine(JSON.stringify({ entries: this.#count } satisfies End))
    this.#full.push(this.#piece.subarray(0, this.#used))
    while (this.#full.length > 0) {
      this.#writeSome()
      await setImmediate()
    }
    this.#try(() => {
      if (this.#file === undefined) return
      // It goes by its age, which is that of the look.
      futimesSync(this.#file, this.#takenAt / 1000, this.#takenAt / 1000)
      closeSync(this.#file)
      this.#file = undefined
      renameSync(this.#draft, this.#path)
    })
  }

  drop(): void {
    const file = this.#file
    this.#file = undefined
    this.#full = []
    this.#waiting = 0
    if (file === undefined) return
    closeSync(file)
    rmSync(this.#draft, { force: true })
  }

  #writeSome(): void {
    const bytes = this.#full.shift()
    if (bytes === undefined) return
    this.#waiting -= bytes.length
    this.#try(() => {
      if (this.#file === undefined) return
      // A disk that becomes full takes a part of it.
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written)
    })
  }

  #try(write: () => void): void {
    try {
      write()
    } catch {
      this.drop()
    }
  }
}

const keptPrefixes = ['ServiceControl.', 'Nsb.Replay.', 'x-first-death-']

/** The same names come with every message; how many are remembered is bounded, because a message may bring any. */
const decided = new Map<string, boolean>()
const mostDecided = 1000

function isOtherKept(name: string): boolean {
  const known = decided.get(name)
  if (known !== undefined) return known
  const kept = keptPrefixes.some((prefix) => name.startsWith(prefix))
  if (decided.size < mostDecided) decided.set(name, kept)
  return kept
}

function othersKept(headers: Headers): Headers | undefined {
  let others: Record<string, string> | undefined
  for (const name in headers) if (isOtherKept(name)) (others ??= {})[name] = headers[name] as string
  return others
}
