// Sends what clients of AMQP 1.0 send, and ends when the broker has accepted all. Arguments: port, virtual host, address of the queue.
import rhea from 'rhea'

const [port, virtualHost, address] = process.argv.slice(2)
const { data_section: data, sequence_section: sequence } = rhea.message
const messages = [
  {
    message_id: 'data',
    content_type: 'application/json',
    body: data(Buffer.from('{"OrderId":"1"}')),
    application_properties: { 'NServiceBus.MessageId': 'data', Number: 5, Flag: true },
    durable: true,
  },
  { message_id: 'bare', body: data(Buffer.from('{"OrderId":"2"}')) },
  { message_id: 'value', body: 'a text' },
  { message_id: 'map', body: { OrderId: '3', lines: ['x', 2] } },
  { message_id: 'sequence', body: sequence([1, 'two']) },
  { message_id: 'annotated', body: data(Buffer.from('x')), message_annotations: { 'x-opt-mine': 'noted' }, subject: 'a subject' },
]
const connection = rhea.create_container().connect({
  host: '127.0.0.1',
  port: Number(port),
  username: 'guest',
  password: 'guest',
  hostname: `vhost:${virtualHost}`,
  reconnect: false,
})
const fail = (context) => {
  console.error(String(context.error ?? context.connection?.error ?? context.session?.error ?? context.sender?.error))
  process.exit(1)
}
for (const event of ['disconnected', 'connection_error', 'session_error', 'sender_error', 'rejected', 'released'])
  connection.on(event, fail)
const sender = connection.open_sender({ target: { address, durable: 2 } })
let accepted = 0
sender.once('sendable', () => {
  for (const message of messages) sender.send(message)
})
sender.on('accepted', () => {
  accepted += 1
  if (accepted < messages.length) return
  connection.removeListener('disconnected', fail)
  connection.close()
})
