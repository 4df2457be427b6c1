import fc from 'fast-check'
import { type Field, sized, tableOf } from '../../src/message/field-table.ts'
import { type PropertyList, propertyNames } from '../../src/message/property-list.ts'
import { anyText } from './runs.ts'

// Properties as bytes, of every type that AMQP 0-9-1 has, and such as no client library would write.

const text = fc.oneof(
  { weight: 3, arbitrary: anyText.map((any) => Buffer.from(any)) },
  // No UTF-8.
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
)
const name = fc.oneof(
  text.map((bytes) => bytes.subarray(0, 255)),
  fc.constantFrom('!', 'v', '7', '07', '__proto__', 'constructor', 'NServiceBus.CorrelationId', 'x-death').map((each) => Buffer.from(each)),
)

const ofSize = (type: string, size: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => Buffer.concat([Buffer.from(type), bytes]))

/** A broker cannot read what is no number, and ends the connection over it. */
const isNumber = (value: Buffer): boolean => Number.isFinite(value.length === 5 ? value.readFloatBE(1) : value.readDoubleBE(1))

/** The byte of a type and a value. */
export const anyValue: fc.Arbitrary<Buffer> = fc.letrec<{ value: Buffer }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text.map((bytes) => sized('S', bytes)),
    fc.constantFrom('t\u0000', 't\u0001', 'V').map((each) => Buffer.from(each)),
    ofSize('b', 1),
    ofSize('B', 1),
    ofSize('s', 2),
    ofSize('u', 2),
    ofSize('I', 4),
    ofSize('i', 4),
    ofSize('l', 8),
    fc.maxSafeInteger().map((whole) => {
      const bytes = Buffer.from('l00000000')
      bytes.writeBigInt64BE(BigInt(whole), 1)
      return bytes
    }),
    ofSize('f', 4).filter(isNumber),
    ofSize('d', 8).filter(isNumber),
    ofSize('D', 5),
    ofSize('T', 8),
    text.map((bytes) => sized('x', bytes)),
    fc.array(tie('value'), { maxLength: 4 }).map((values) => sized('A', Buffer.concat(values))),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map((fields) => sized('F', tableOf(fieldsOf(fields)))),
  ),
})).value

const fieldsOf = (fields: readonly (readonly [Buffer, Buffer])[]): readonly Field[] =>
  fields.map(([each, value]) => ({ name: each, value }))

/** A table in a table, and so on, deeper than anybody looks. */
const deep = fc.integer({ min: 60, max: 2000 }).map((levels) => {
  let value: Buffer = Buffer.from('V')
  for (let level = 0; level < levels; level++) value = sized('F', tableOf([{ name: Buffer.from('a'), value }]))
  return value
})

/** What a program may leave where the header of an endpoint would be: a few of each, in any order. */
export const anyFields: fc.Arbitrary<readonly Field[]> = fc
  .array(fc.tuple(name, fc.oneof({ weight: 20, arbitrary: anyValue }, deep)), { maxLength: 8 })
  .map(fieldsOf)

const octet = fc.nat(255).map((value) => Buffer.of(value))
const short = text.map((bytes) => bytes.subarray(0, 255))
const ofProperty = {
  contentType: short,
  contentEncoding: short,
  headers: anyFields.map(tableOf),
  deliveryMode: octet,
  priority: octet,
  correlationId: short,
  replyTo: short,
  expiration: fc.constant(Buffer.from('600000')),
  messageId: short,
  timestamp: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
  type: short,
  userId: short,
  appId: short,
  clusterId: short,
}

/** Any of the fourteen properties. */
export const anyProperties: fc.Arbitrary<PropertyList> = fc
  .record(ofProperty, { requiredKeys: [] })
  .map((given) => new Map(propertyNames.flatMap((each) => (given[each] === undefined ? [] : [[each, given[each]] as const]))))
