import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { identityOf } from '../../src/toolkit/open-connection.ts'
import { chooseConnection, findProject } from '../../src/toolkit/project.ts'
import { temporaryFolder } from '../cli/nsb.ts'

/** That of the default profile, when this is it. */
async function identity(profile: object, folder = temporaryFolder()): Promise<string> {
  mkdirSync(join(folder, '.git'), { recursive: true })
  writeFileSync(join(folder, 'nsb.json'), JSON.stringify({ profiles: { default: profile } }))
  const project = await findProject(folder)
  return identityOf(chooseConnection(project, {}, folder), project, () => undefined)
}

it('the identity of a broker is its host, port and virtual host, however they are written and whoever logs in', async () => {
  const same = [
    'amqp://mq1/shop',
    'amqp://sales:s3cret@MQ1:5672/shop',
    'host=mq1;virtualHost=shop;username=other;password=s3cret',
    'amqp://mq1/%73hop?heartbeat=5',
  ]
  const others = ['amqp://mq2/shop', 'amqp://mq1:5673/shop', 'amqp://mq1/Shop', 'amqp://mq1', 'amqps://mq1/shop']

  const found = await Promise.all([...same, ...others].map((connection) => identity({ connection })))

  expect(new Set(found.slice(0, same.length)).size).toBe(1)
  expect(new Set(found).size).toBe(1 + others.length)
  for (const each of found) expect(each).not.toMatch(/s3cret|sales/)
})

it('the identity of a storage folder is where it is, through links too', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'bus'))
  symlinkSync('bus', join(folder, 'link'))

  const found = new Set<string>()
  for (const storage of ['bus', 'link', join(folder, 'bus'), 'other']) found.add(await identity({ storage }, folder))

  expect(found.size).toBe(2)
})
