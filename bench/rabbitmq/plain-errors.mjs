// Plain amqplib sending an error queue back, or looking at one, under the rules that nsb keeps. Started by bench/rabbitmq-errors.ts.
// node plain-errors.mjs replay|list|export|import <messages> <window> [file]
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'amqplib'

const [, , what, count, width, path] = process.argv
const messages = Number(count)
const window = Number(width)

const failure = /^NServiceBus\.(ExceptionInfo\.|FailedQ$|TimeOfFailure$|Retries|Processing)|^\$\.diagnostics\.host/

async function replay() {
  const connection = await connect(process.env.NSB_BENCH_CONNECTION, { noDelay: true })
  const publishing = await connect(process.env.NSB_BENCH_CONNECTION, { noDelay: true })
  const channel = await connection.createChannel()
  const publisher = await publishing.createConfirmChannel()
  await channel.prefetch(window)
  const consumerTag = 'replay'
  let done = 0
  await new Promise((resolve, reject) => {
    publisher.on('return', () => reject(new Error('returned')))
    const take = (delivery) => {
      const { headers, ...properties } = delivery.properties
      const kept = {}
      for (const name of Object.keys(headers)) if (!failure.test(name)) kept[name] = headers[name]
      kept['ServiceControl.Retry.UniqueMessageId'] = properties.messageId
      publisher.publish(
        '',
        headers['NServiceBus.FailedQ'],
        delivery.content,
        { ...properties, headers: kept, mandatory: true },
        (error) => {
          if (error) return reject(error)
          channel.ack(delivery)
          if (++done === messages) resolve()
        },
      )
    }
    void channel.consume('error', take, { consumerTag })
  })
  // A channel that is closed at once forgets acknowledgements that the queue was too busy to be told.
  await channel.cancel(consumerTag)
  await channel.close()
  await Promise.all([connection.close(), publishing.close()])
}

/** Held in pages by consumers that are cancelled, then given back page by page, each visible before the next. */
async function look(seen, end) {
  const connection = await connect(process.env.NSB_BENCH_CONNECTION, { noDelay: true })
  const channel = await connection.createChannel()
  const pages = []
  for (let held = 0; held < messages; ) {
    const size = Math.min(window, messages - held)
    let last
    let taken = 0
    await channel.prefetch(size)
    let full
    const isFull = new Promise((resolve) => {
      full = resolve
    })
    const { consumerTag } = await channel.consume('error', (delivery) => {
      seen(delivery)
      last = delivery
      if (++taken === size) full()
    })
    await isFull
    await channel.cancel(consumerTag)
    pages.push({ last, size })
    held += size
  }
  end()
  let visible = 0
  for (const { last, size } of pages) {
    channel.nack(last, true, true)
    visible += size
    while ((await channel.checkQueue('error')).messageCount < visible) await pause(1)
  }
  await channel.close()
  await connection.close()
}

function list() {
  const failures = []
  return look(
    ({ properties: { headers } }) => failures.push({ id: headers['NServiceBus.MessageId'], at: headers['NServiceBus.TimeOfFailure'] }),
    () => {
      failures.sort((a, b) => (a.at < b.at ? 1 : -1))
      process.stdout.write(JSON.stringify(failures.slice(0, 50)))
    },
  )
}

function exportAll() {
  const file = openSync(path, 'w', 0o600)
  let chunk = ''
  const write = () => {
    writeSync(file, chunk)
    chunk = ''
  }
  return look(
    ({ content, properties }) => {
      chunk += `${JSON.stringify({ properties, body: content.toString() })}\n`
      if (chunk.length > 256 * 1024) write()
    },
    () => {
      write()
      closeSync(file)
    },
  )
}

async function importAll() {
  const connection = await connect(process.env.NSB_BENCH_CONNECTION, { noDelay: true })
  const publisher = await connection.createConfirmChannel()
  let underWay = 0
  let wake = () => undefined
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { body, properties } = JSON.parse(line)
    underWay++
    publisher.publish('', 'error', Buffer.from(body), { ...properties, mandatory: true }, (error) => {
      if (error) throw error
      underWay--
      wake()
    })
    while (underWay >= window)
      await new Promise((resolve) => {
        wake = resolve
      })
  }
  await publisher.waitForConfirms()
  await connection.close()
}

await { replay, list, export: exportAll, import: importAll }[what]()
