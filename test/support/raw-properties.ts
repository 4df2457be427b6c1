import type { Socket } from 'node:net'
import amqplib, { type ChannelModel } from 'amqplib'
import { readProperties } from '../../src/transport/rabbitmq/properties-frame.ts'

/** A message with its properties as the bytes that the broker sent. */
export interface RawMessage {
  /** Flags and values. */
  readonly properties: Buffer
  readonly body: string
}

/** Takes all that is in a queue, and reads no properties: they are cut out of the frames. */
export async function takeRaw(url: string, queue: string): Promise<readonly RawMessage[]> {
  const connection = await amqplib.connect(url)
  const lists = watchHeaderFrames(connection)
  // amqplib runs out of stack with deep tables.
  readProperties(connection)
  try {
    const channel = await connection.createChannel()
    const messages: RawMessage[] = []
    for (;;) {
      const message = await channel.get(queue, { noAck: true })
      if (message === false) return messages
      messages.push({ properties: lists.shift() as Buffer, body: message.content.toString() })
    }
  } finally {
    await connection.close()
  }
}

/** The property lists that come, in a list that grows. */
function watchHeaderFrames({ connection }: ChannelModel): Buffer[] {
  const found: Buffer[] = []
  const { stream } = connection as unknown as { readonly stream: Socket }
  const read = stream.read.bind(stream) as () => Buffer | null
  let rest = Buffer.alloc(0)
  stream.read = () => {
    const chunk = read()
    if (chunk) rest = Buffer.concat([rest, chunk])
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(3)) {
      const end = 7 + rest.readUInt32BE(3)
      // Class, weight and size of the body come before it.
      if (rest[0] === 2) found.push(Buffer.from(rest.subarray(19, end)))
      rest = rest.subarray(end + 1)
    }
    return chunk
  }
  return found
}
