import { isDeepStrictEqual } from 'node:util'
import type { Writable } from 'node:stream'
import type { ChannelModel } from 'amqplib'
import { type Field, bytesOfValue, fieldsOf, tableOf, valueAt } from '../../message/field-table.ts'
import {
  type PropertyList,
  bytesOfProperty,
  propertyNames,
  propertyValue,
  readPropertyList,
  writePropertyList,
} from '../../message/property-list.ts'
import { NativeProperties } from './outgoing.ts'

/** Not part of amqplib's documented surface: where it is not there, amqplib writes the properties itself, as far as it can. */
interface FrameWriter {
  readonly frameMax: number
  readonly channels: readonly ({ readonly buffer: Writable } | null)[]
  sendMethod(channel: number, method: number, fields: object): boolean
  sendContent(channel: number, content: Buffer): boolean
  sendMessage(channel: number, method: number, fields: object, id: number, properties: object, content: Buffer): boolean
}

const propertiesFrame = 2
const propertiesId = 60
const frameEnd = 0xce
/** Type, channel and size before, and the end behind. */
const frameBytes = 8
/** Class, weight and size of the body. */
const headBytes = 12
/** What amqplib has room for. */
const tableBytesOfAmqplib = 64 * 1024

/**
 * Writes the properties of copies in amqplib's place, with the bytes that their originals had, and those that are too large for amqplib but
 * not for the broker.
 */
export function writeProperties(model: ChannelModel): void {
  const { connection } = model
  if (!isFrameWriter(connection)) return
  const send = connection.sendMessage.bind(connection)
  connection.sendMessage = (channel, method, fields, id, properties, content) => {
    if (!(properties instanceof NativeProperties)) return send(channel, method, fields, id, properties, content)
    if (properties.original === undefined)
      try {
        return send(channel, method, fields, id, properties, content)
      } catch (error) {
        // It was told before anything was written.
        if (!(error instanceof RangeError)) throw error
      }
    const frame = frameOf(channel, writePropertyList(listOf(properties)), content.length)
    if (frame.length > connection.frameMax) throw new RangeError(`The properties of a message need a frame of ${frame.length} bytes.`)
    connection.sendMethod(channel, method, fields)
    connection.channels[channel]?.buffer.write(frame)
    return connection.sendContent(channel, content)
  }
}

function isFrameWriter(connection: object): connection is FrameWriter {
  return (
    'frameMax' in connection &&
    'channels' in connection &&
    ['sendMethod', 'sendContent', 'sendMessage'].every((name) => typeof (connection as Record<string, unknown>)[name] === 'function')
  )
}

/** So many bytes may the properties of a message have. */
export function roomForProperties(model: ChannelModel): number {
  const { connection } = model
  return isFrameWriter(connection) ? connection.frameMax - frameBytes - headBytes : tableBytesOfAmqplib
}

function frameOf(channel: number, list: Buffer, bodySize: number): Buffer {
  const head = Buffer.alloc(frameBytes - 1 + headBytes)
  head[0] = propertiesFrame
  head.writeUInt16BE(channel, 1)
  head.writeUInt32BE(headBytes + list.length, 3)
  head.writeUInt16BE(propertiesId, 7)
  head.writeBigUInt64BE(BigInt(bodySize), 11)
  return Buffer.concat([head, list, Buffer.of(frameEnd)])
}

/** What is said by the values, with the bytes of the original for what it says as well. */
export function listOf(properties: NativeProperties): PropertyList {
  const original: PropertyList = properties.original === undefined ? new Map() : readPropertyList(properties.original)
  const list: PropertyList = new Map()
  for (const name of propertyNames) {
    const before = original.get(name)
    if (name === 'headers') {
      if (before !== undefined || Object.keys(properties.headers).length > 0)
        list.set(name, tableOf(mergedFields(before === undefined ? [] : fieldsOf(before), properties.headers)))
      continue
    }
    const value = properties[name]
    if (value === undefined) continue
    list.set(name, before !== undefined && propertyValue(name, before) === value ? before : bytesOfProperty(name, value))
  }
  return list
}

/** Of several fields with one name only the last can be seen: while that stays, all of them do. */
function mergedFields(before: readonly Field[], headers: Readonly<Record<string, unknown>>): readonly Field[] {
  const names = before.map(({ name }) => name.toString('utf8'))
  const last = new Map(names.map((name, index) => [name, index]))
  const changed = new Map<string, Buffer>()
  for (const [name, index] of last) {
    if (!Object.hasOwn(headers, name)) continue
    const { value } = before[index] as Field
    if (!isDeepStrictEqual(headers[name], valueAt(value, 0, value.length))) changed.set(name, bytesOfValue(headers[name]))
  }
  const kept = before.flatMap((field, index) => {
    const name = names[index] as string
    if (!Object.hasOwn(headers, name)) return []
    const value = changed.get(name)
    if (value === undefined) return [field]
    return last.get(name) === index ? [{ ...field, value }] : []
  })
  const added = Object.entries(headers).filter(([name, value]) => !last.has(name) && value !== undefined)
  return [...kept, ...added.map(([name, value]) => ({ name: Buffer.from(name), value: bytesOfValue(value) }))]
}
