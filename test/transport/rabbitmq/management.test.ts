import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConnectionSettings, parseConnection, parseHosts } from '../../../src/transport/rabbitmq/connection-settings.ts'
import { Management } from '../../../src/transport/rabbitmq/management.ts'

/** An address of this machine that no other test has. */
const ownHost = (number: number): string => `127.${1 + (process.pid % 250)}.${Math.trunc(process.pid / 250) % 250}.${number}`

/** A node whose management API is at the usual port. Which that is the operating system says: at the real one a broker may listen. */
async function node(host: string, status: number): Promise<{ readonly server: Server; readonly usualPort: number }> {
  const server = createServer((_request, response) => response.writeHead(status).end('{"from":"node"}'))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  onTestFinished(() => void server.close())
  return { server, usualPort: (server.address() as AddressInfo).port }
}

describe.skipIf(process.platform !== 'linux')('the management API of several hosts', () => {
  const hosts = (first: number, second: number): ConnectionSettings =>
    parseConnection(`amqp://sales:s3cret@${ownHost(first)}`).settings.with({ hosts: parseHosts([ownHost(second)], false) })

  it('is asked of the next host when the first one does not answer, and of that one from then on', async () => {
    const { usualPort } = await node(ownHost(2), 200)
    const management = new Management(hosts(1, 2), {}, 5000, undefined, usualPort)
    onTestFinished(() => management.close())

    const told = await management.get('overview')

    expect(told).toEqual({ from: 'node' })
    expect(management.address).toBe(`http://${ownHost(2)}:${usualPort}`)
  })

  it('names why none of them answered', async () => {
    const { server, usualPort } = await node(ownHost(3), 200)
    await new Promise((resolve) => server.close(resolve))
    const management = new Management(hosts(3, 4), {}, 5000, undefined, usualPort)

    const told = management.get('overview')

    await expect(told).rejects.toMatchObject({
      code: 'NSB_MANAGEMENT_UNREACHABLE',
      message: expect.stringMatching(new RegExp(`ECONNREFUSED.*\\.3:${usualPort}; .*ECONNREFUSED.*\\.4:${usualPort}`)) as string,
    })
  })

  it('says what the user lacks when it refuses', async () => {
    const { usualPort } = await node(ownHost(5), 401)
    const management = new Management(hosts(5, 6), {}, 5000, undefined, usualPort)

    const told = management.get('overview')

    await expect(told).rejects.toMatchObject({
      message: expect.stringContaining(`user 'sales' may not ask it`),
      suggestions: expect.arrayContaining(['Permit it: rabbitmqctl set_user_tags sales monitoring']),
    })
  })
})
