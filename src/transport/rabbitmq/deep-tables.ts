import type { ChannelModel } from 'amqplib'
import { deepest } from './native-headers.ts'

/** Not part of amqplib's documented surface. */
interface FrameReader {
  /** What was read of the socket, from the next frame on. */
  rest: Buffer
  recvFrame(): unknown
}

const headerFrame = 2
const frameOverhead = 8
/** Where the flags of the properties are: after type, channel and size of the frame, and class, weight and size of the body. */
const flagsAt = 7 + 12
const contentTypeFlag = 0x80_00
const contentEncodingFlag = 0x40_00
const headersFlag = 0x20_00

/**
 * Makes the connection survive headers with tables nested so deep that amqplib, which reads them one inside the other, runs out of stack.
 * Such a frame is read again without what nobody looks at: below {@link deepest}. Otherwise the connection would end with it, and so would
 * every further one, because the broker sends the message again.
 */
export function readDeepTables(model: ChannelModel): void {
  const { connection } = model
  if (!isFrameReader(connection)) return
  const receive = connection.recvFrame.bind(connection)
  connection.recvFrame = (): unknown => {
    // Where there is not yet a whole frame it calls itself, and so this.
    const { rest } = connection
    try {
      return receive()
    } catch (error) {
      const shallow = error instanceof RangeError ? withoutDeepTables(rest) : undefined
      if (!shallow) throw error
      connection.rest = Buffer.concat([shallow, connection.rest])
      return receive()
    }
  }
}

function isFrameReader(connection: object): connection is FrameReader {
  return 'rest' in connection && Buffer.isBuffer(connection.rest) && 'recvFrame' in connection && typeof connection.recvFrame === 'function'
}

/** The frame that the bytes begin with; undefined when it has no headers. */
function withoutDeepTables(bytes: Buffer): Buffer | undefined {
  const frame = bytes.subarray(0, frameOverhead + bytes.readUInt32BE(3))
  if (frame[0] !== headerFrame) return undefined
  const flags = frame.readUInt16BE(flagsAt)
  if ((flags & headersFlag) === 0) return undefined
  let at = flagsAt + 2
  for (const flag of [contentTypeFlag, contentEncodingFlag]) if ((flags & flag) !== 0) at += 1 + frame.readUInt8(at)
  const end = at + 4 + frame.readUInt32BE(at)
  const shallow = Buffer.concat([frame.subarray(0, at), sized(withoutDeep(frame.subarray(at + 4, end), true, 0)), frame.subarray(end)])
  shallow.writeUInt32BE(shallow.length - frameOverhead, 3)
  return shallow
}

/** As {@link textOf} shows what is deeper. */
const tooDeep = Buffer.concat([Buffer.from('S'), sized(Buffer.from('…'))])
const [table, array] = Buffer.from('FA')
/** Bytes of the values that do not say how long they are, by type. */
const fixedSizes: Readonly<Record<string, number>> = { V: 0, t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, l: 8, d: 8, T: 8 }

/** The fields of a table, or the items of an array. */
function withoutDeep(fields: Buffer, named: boolean, depth: number): Buffer {
  const kept: Buffer[] = []
  let from = 0
  for (let at = 0; at < fields.length; ) {
    if (named) at += 1 + fields.readUInt8(at)
    const type = fields.readUInt8(at)
    const size = fixedSizes[String.fromCharCode(type)] ?? 4 + fields.readUInt32BE(at + 1)
    const end = at + 1 + size
    if (type === table || type === array) {
      kept.push(fields.subarray(from, at))
      if (depth === deepest) kept.push(tooDeep)
      else kept.push(fields.subarray(at, at + 1), sized(withoutDeep(fields.subarray(at + 5, end), type === table, depth + 1)))
      from = end
    }
    at = end
  }
  return Buffer.concat([...kept, fields.subarray(from)])
}

function sized(bytes: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(bytes.length)
  return Buffer.concat([size, bytes])
}
