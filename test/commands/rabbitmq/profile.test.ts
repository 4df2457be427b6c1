import { describe, expect, it } from 'vitest'
import { type Place, place, spellings } from './place.ts'

const profiles = ({ host, url }: Place): object => ({
  local: { transport: 'rabbitmq', connection: url, management: host.management.url },
  prod: { connectionEnv: 'PROD_AMQP', managementEnv: 'PROD_AMQP_API', protect: true },
})

describe('nsb profile test', () => {
  it('says which broker answers, where its management API is, and that delayed messages have no exchanges yet', async () => {
    const at = await place(profiles)

    const before = await at.run(['profile', 'test', 'local'])
    await at.run(['queues', 'create', 'Sales', '-p', 'local'])
    const after = await at.run(['profile', 'test', 'local', '--json'])

    expect(before.code, before.stderr).toBe(0)
    expect(before.stdout).toMatch(
      /✓ local: RabbitMQ \d+\.\d+.* at amqp:\/\/sales-\w+:\*\*\*@127\.0\.0\.1:\d+\/test-\w+ \(profile 'local' in/,
    )
    expect(before.stdout).toContain(`✓ management API at ${at.host.management.url}`)
    expect(before.stdout).toContain('! No exchanges for delayed messages yet')
    expect(before.stdout).toContain('✓ queues may be declared, read and written')
    expect(after.json()).toMatchObject({
      schema: 'nsb.profile.test/1',
      name: 'local',
      transport: 'rabbitmq',
      product: 'RabbitMQ',
      version: expect.stringMatching(/^\d/),
      management: { address: at.host.management.url },
      hasDelays: true,
      refused: [],
    })
  })

  it('CLI-3 ends with 5 and the readable error when the broker cannot be used', async () => {
    const at = await place(profiles)
    const env = { PROD_AMQP: at.url.replace('@', 'x@'), PROD_AMQP_API: 'http://127.0.0.1:1' }

    const { code, json, stderr } = await at.run(['profile', 'test', 'prod', '--json'], { env })

    expect(code).toBe(5)
    expect(json()).toMatchObject({ schema: 'nsb.error/1', error: { code: 'NSB_LOGIN_REFUSED' } })
    expect(stderr).toContain('login was refused')
    for (const spelling of spellings) expect(stderr).not.toContain(spelling)
  })

  it('ends with 0 without the management API, and says what needs it', async () => {
    const at = await place(profiles)
    const env = { PROD_AMQP: at.url, PROD_AMQP_API: 'http://u:s3cret@127.0.0.1:1' }

    const { code, stdout } = await at.run(['profile', 'test', 'prod'], { env })

    expect(code).toBe(0)
    expect(stdout).toContain('! The management API at http://127.0.0.1:1 cannot be used')
    expect(stdout).not.toContain('s3cret')
  })

  it('CLI-6 ends with 2 for an address of the management API whose login cannot be read, and shows nothing of it', async () => {
    const at = await place(profiles)
    const env = { PROD_AMQP: at.url, PROD_AMQP_API: 'http://u:s3cret%@127.0.0.1:1' }

    const { code, json, stderr, stdout } = await at.run(['profile', 'test', 'prod', '--json'], { env })

    expect(code).toBe(2)
    expect(json()).toMatchObject({ error: { code: 'NSB_BAD_CONNECTION', hint: expect.stringContaining('%-codes') } })
    expect(stdout + stderr).not.toContain('s3cret')
  })

  it('names the tag that a user of the management API lacks', async () => {
    const at = await place(profiles)
    const api = at.host.management.url?.replace('//', '//nobody:s3cret@')

    const { stdout } = await at.run(['profile', 'test', 'prod'], { env: { PROD_AMQP: at.url, PROD_AMQP_API: `${api}` } })
    const listed = await at.run(['queues', 'list', '-p', 'prod'], { env: { PROD_AMQP: at.url, PROD_AMQP_API: `${api}` } })

    expect(stdout).toContain(`user 'nobody' may not ask it, or has another password there`)
    expect(listed.code).toBe(5)
    expect(listed.stderr).toContain('rabbitmqctl set_user_tags nobody monitoring')
    expect(stdout + listed.stderr).not.toContain('s3cret')
  })

  it.each([
    ['declare a queue', { configure: '^$' }],
    ['read a queue', { read: '^$' }],
    ['publish to a queue', { write: '^$' }],
  ] as const)('CLI-3 ends with 5 when the user may not %s', async (what, permissions) => {
    const at = await place(profiles, permissions)

    const human = await at.run(['profile', 'test', 'local'])
    const script = await at.run(['profile', 'test', 'local', '--json'])

    expect([human.code, script.code], human.stderr).toEqual([5, 5])
    expect(human.stdout).toContain(`✗ The broker does not permit to ${what}`)
    expect(script.json()).toMatchObject({ schema: 'nsb.profile.test/1', refused: [expect.stringContaining(what)] })
  })

  it('CLI-7 suggests the nearest for a profile that does not exist, with exit code 2', async () => {
    const at = await place(profiles)

    const { code, stderr } = await at.run(['profile', 'test', 'locla'])

    expect(code).toBe(2)
    expect(stderr).toContain(`Did you mean 'local'?`)
  })

  it('leaves nothing behind', async () => {
    const at = await place(profiles)

    await at.run(['profile', 'test', 'local'])

    expect(await at.host.api('GET', `queues/${at.host.name}`)).toEqual([])
  })
})
