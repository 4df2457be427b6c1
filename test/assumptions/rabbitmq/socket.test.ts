import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'

let host: VirtualHost
let transport: Transport
beforeAll(async () => {
  host = await makeVirtualHost()
  transport = rabbitTransport({ settings: host.settings, management: host.management })
  await transport.createQueues(['sales'])
})
afterAll(async () => {
  await transport.close()
  await host.remove()
})

const message = (id: string) => ({ id, headers: { 'NServiceBus.MessageId': id }, body: Buffer.from('{}'), to: { address: 'sales' } })

/** Runs with every socket watched. */
async function watched(act: () => Promise<void>): Promise<{ readonly noDelay: readonly unknown[]; readonly writes: number }> {
  const noDelay: unknown[] = []
  let writes = 0
  const prototype = Socket.prototype as unknown as {
    setNoDelay: (...values: unknown[]) => unknown
    _write: (...args: unknown[]) => unknown
    _writev: (...args: unknown[]) => unknown
  }
  const { _write, _writev, setNoDelay } = prototype
  prototype.setNoDelay = function (...values: unknown[]): unknown {
    noDelay.push(values[0])
    return setNoDelay.apply(this, values)
  }
  prototype._write = function (...args: unknown[]): unknown {
    writes++
    return _write.apply(this, args)
  }
  prototype._writev = function (...args: unknown[]): unknown {
    writes++
    return _writev.apply(this, args)
  }
  try {
    await act()
  } finally {
    Object.assign(prototype, { _write, _writev, setNoDelay })
  }
  return { noDelay, writes }
}

describe('the socket of a connection', () => {
  it('never waits for an acknowledgement before it sends the next small frame (TCP_NODELAY)', async () => {
    const { noDelay } = await watched(async () => {
      const other = rabbitTransport({ settings: host.settings, management: host.management })
      await other.dispatch([message('first')])
      await other.close()
    })

    assert.ok(noDelay.length > 0)
    assert.deepEqual([...new Set(noDelay)], [true])
  })

  it('is written to once in a turn of the event loop, not once for each message', async () => {
    await transport.dispatch([message('warm')])

    const { writes } = await watched(async () => {
      await Promise.all(Array.from({ length: 100 }, (_, index) => transport.dispatch([message(`m${index}`)])))
    })

    // A full buffer begins another one.
    assert.ok(writes >= 1 && writes <= 10, `${writes} writes for 100 messages`)
  })
})

it('amqplib is loaded by nobody who does not use RabbitMQ', () => {
  const script = `
    import { openTransport } from './src/index.ts'
    await (await openTransport('memory:')).close()
    process.stdout.write(String(Object.keys((await import('node:module')).default._cache ?? {}).some((file) => file.includes('amqplib'))))
  `
  const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { encoding: 'utf8' })

  assert.equal(output, 'false')
})
