import { type Server, createServer } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ConnectionSettings, parseConnection, parseHosts } from '../../../src/transport/rabbitmq/connection-settings.ts'
import { Management } from '../../../src/transport/rabbitmq/management.ts'

/** An address of this machine that no other test has. */
const ownHost = (number: number): string => `127.${1 + (process.pid % 250)}.${Math.trunc(process.pid / 250) % 250}.${number}`

/** A node whose management API is where it is looked for unless it is named. */
async function node(host: string, status: number): Promise<Server> {
  const server = createServer((_request, response) => response.writeHead(status).end('{"from":"node"}'))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(15_672, host, resolve))
  onTestFinished(() => void server.close())
  return server
}

describe.skipIf(process.platform !== 'linux')('the management API of several hosts', () => {
  const hosts = (first: number, second: number): ConnectionSettings =>
    parseConnection(`amqp://sales:s3cret@${ownHost(first)}`).settings.with({ hosts: parseHosts([ownHost(second)], false) })

  it('is asked of the next host when the first one does not answer, and of that one from then on', async () => {
    await node(ownHost(2), 200)
    const management = new Management(hosts(1, 2), {}, 5000)
    onTestFinished(() => management.close())

    const told = await management.get('overview')

    expect(told).toEqual({ from: 'node' })
    expect(management.address).toBe(`http://${ownHost(2)}:15672`)
  })

  it('names why none of them answered', async () => {
    const management = new Management(hosts(3, 4), {}, 5000)

    const told = management.get('overview')

    await expect(told).rejects.toMatchObject({
      code: 'NSB_MANAGEMENT_UNREACHABLE',
      message: expect.stringMatching(/ECONNREFUSED.*\.3:15672; .*ECONNREFUSED.*\.4:15672/),
    })
  })

  it('says what the user lacks when it refuses', async () => {
    await node(ownHost(5), 401)
    const management = new Management(hosts(5, 6), {}, 5000)

    const told = management.get('overview')

    await expect(told).rejects.toMatchObject({
      message: expect.stringContaining(`user 'sales' may not ask it`),
      suggestions: expect.arrayContaining(['Permit it: rabbitmqctl set_user_tags sales monitoring']),
    })
  })
})
