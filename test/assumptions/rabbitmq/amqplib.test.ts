import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { NativeProperties } from '../../../src/transport/rabbitmq/outgoing.ts'
import { Batch, Publication, isLaidOut, publishOn } from '../../../src/transport/rabbitmq/publication.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

let host: VirtualHost
let connection: ChannelModel
let channel: ConfirmChannel
beforeAll(async () => {
  host = await makeVirtualHost()
  connection = await connect(host.url)
  channel = await connection.createConfirmChannel()
  await channel.assertQueue('assumed')
})
afterAll(async () => {
  await connection.close()
  await host.remove()
})

const nothing = (): void => undefined

/** What leaves the process in this turn and the next, frame by frame. */
async function written(socket: Socket, act: () => void): Promise<Buffer> {
  const chunks: Buffer[] = []
  const write = socket.write.bind(socket) as (chunk: Buffer) => boolean
  socket.write = ((chunk: Buffer) => {
    chunks.push(Buffer.from(chunk))
    return write(chunk)
  }) as Socket['write']
  act()
  await channel.waitForConfirms()
  socket.write = write as Socket['write']
  return Buffer.concat(chunks)
}

describe('what amqplib does not promise, and the transport gains from', () => {
  it('has the step below publish, and the socket of a connection', () => {
    assert.ok(isLaidOut(channel))
    assert.equal(typeof (connection.connection as unknown as { stream: Socket }).stream.cork, 'function')
  })

  it('writes the same bytes through it as through publish', async () => {
    const { stream } = connection.connection as unknown as { readonly stream: Socket }
    const headers = { 'NServiceBus.MessageId': 'the id', Empty: '', Unicode: 'Grüße', Number: { '!': 'int32', value: 5 } }
    const properties = Object.assign(new NativeProperties(headers), {
      messageId: 'the id',
      contentType: 'application/json',
      type: 'Shop.PlaceOrder',
    })
    const content = Buffer.from('{"OrderId":1}')

    const direct = await written(stream, () =>
      publishOn(
        channel,
        new Publication('', 'assumed', content, properties, { exactQueue: 'assumed' }, new Batch(1, nothing, nothing)),
        nothing,
      ),
    )
    const documented = await written(stream, () =>
      channel.publish('', 'assumed', content, {
        headers,
        messageId: 'the id',
        contentType: 'application/json',
        type: 'Shop.PlaceOrder',
        deliveryMode: 2,
        mandatory: true,
      }),
    )

    assert.ok(direct.length > 0)
    assert.deepEqual(direct, documented)
  })
})
