import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../cli/nsb.ts'
import { fill, shop } from '../support/shop-project.ts'
import { noFiles, tooLarge } from '../support/strange-files.ts'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
/** Nobody. */
const user = 65_534

/** Good failures `m0` and `m1`, and one of each kind of file that disables nothing. */
async function errorQueue(): Promise<ReturnType<typeof projectWith> & { readonly env: Readonly<Record<string, string>> }> {
  const { folder, storage } = projectWith()
  const queue = join(storage, 'error')
  for (const name of ['Sales', 'error/.bodies']) mkdirSync(join(storage, name), { recursive: true })
  for (const id of ['m0', 'm1']) putMessage(storage, 'error', id, failureHeaders(id))
  writeFileSync(join(queue, 'nested.metadata.txt'), '['.repeat(20_000) + ']'.repeat(20_000))
  await tooLarge(join(queue, 'large.metadata.txt'))
  let index = 0
  for (const put of Object.values(noFiles)) {
    writeFileSync(join(queue, `body${index}.metadata.txt`), JSON.stringify(failureHeaders(`b${index}`)))
    await put(join(queue, `.bodies/body${index}.body.txt`))
    await put(join(queue, `strange${index++}.metadata.txt`))
  }
  return { folder, storage, env: { NSB_STATE_DIR: join(folder, 'state'), CI: '1' } }
}

const kinds = Object.keys(noFiles).length
const strangeIn = (storage: string): readonly string[] => readdirSync(join(storage, 'error')).filter((name) => name.startsWith('strange'))

describe('in an error queue with a file of every kind that is no message', () => {
  it('the failures are listed, grouped, shown and counted, and what is no file is named', async () => {
    const { env, folder } = await errorQueue()

    const list = await nsb(['errors', 'list', '--json'], { cwd: folder, env })
    const poison = await nsb(['errors', 'list', '--kind', 'poison', '--json'], { cwd: folder, env })
    const groups = await nsb(['errors', 'groups', '--json'], { cwd: folder, env })
    const show = await nsb(['errors', 'show', 'm1', '--json'], { cwd: folder, env })
    const queues = await nsb(['queues', 'list', '--json'], { cwd: folder, env })

    for (const { code, stderr } of [list, poison, groups, show, queues]) expect(code, stderr).toBe(0)
    const items = list.json()['items'] as readonly { readonly messageId: string }[]
    expect(items.map(({ messageId }) => messageId)).toEqual(expect.arrayContaining(['m0', 'm1']))
    // The nested one, the large one, and those with a body that is no file.
    expect(poison.json()).toMatchObject({ total: 2 + kinds })
    expect(queues.json()['items']).toContainEqual(expect.objectContaining({ queue: 'error', depth: 4 + kinds }))
    for (let index = 0; index < kinds; index++)
      expect(list.stderr).toMatch(new RegExp(`strange${index}\\.metadata\\.txt' is .*left where it is`))
  })

  it('what can be replayed is replayed, and everything else is where it was', async () => {
    const { env, folder, storage } = await errorQueue()

    const { code, stderr, stdout } = await nsb(['errors', 'replay', '--type', 'PlaceOrder', '--yes'], { cwd: folder, env })

    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^replayed 2,/)
    expect(messagesIn(storage, 'Sales')).toHaveLength(2)
    expect(strangeIn(storage)).toHaveLength(kinds)
    expect(readdirSync(join(storage, 'error'))).toContain('large.metadata.txt')
  })

  it('what can be read is archived, the rest is named and stays, and nothing has to be resumed', async () => {
    const { env, folder, storage } = await errorQueue()

    const { code, json, stderr } = await nsb(['errors', 'archive', '--kind', 'poison', '--yes', '--json'], { cwd: folder, env })
    const resumable = await nsb(['errors', 'resume', '--list', '--json'], { cwd: folder, env })

    expect(code, stderr).toBe(3)
    expect(json()).toMatchObject({ archived: 1 + kinds, failed: 1 })
    expect(stderr).toMatch(/large\.metadata\.txt' has 629145600 bytes/)
    expect(resumable.json()['items']).toEqual([])
    expect(readdirSync(join(storage, 'error')).filter((name) => name.startsWith('body') || name.startsWith('nested'))).toEqual([])
    expect(strangeIn(storage)).toHaveLength(kinds)
  })

  it('an export says what it could not read', async () => {
    const { env, folder } = await errorQueue()

    const { code, stderr } = await nsb(['errors', 'export', '--kind', 'poison', '--file', 'out.ndjson'], { cwd: folder, env })

    expect(code, stderr).toBe(3)
    expect(readFileSync(join(folder, 'out.ndjson'), 'utf8').trim().split('\n')).toHaveLength(1 + kinds)
    expect(stderr).toMatch(/large\.metadata\.txt' has 629145600 bytes/)
  })

  it('a purge removes the messages, and says how many', async () => {
    const { env, folder, storage } = await errorQueue()

    const { code, json, stderr } = await nsb(['queues', 'purge', 'error', '--yes', '--json'], { cwd: folder, env })

    expect(code, stderr).toBe(0)
    expect(json()).toMatchObject({ removed: 4 + kinds })
    expect(strangeIn(storage)).toHaveLength(kinds)
  })
})

it('run handles what it may, says what it may not, and does not end with 0', async () => {
  const folder = shop('await Promise.resolve()')
  const storage = join(folder, '.learningtransport')
  await fill(folder, 0, 2)
  await tooLarge(join(storage, 'Shop/large.metadata.txt'))
  await noFiles['a named pipe']?.(join(storage, 'Shop/pipe.metadata.txt'))
  writeFileSync(join(storage, 'Shop/body.metadata.txt'), '{"NServiceBus.MessageId":"body"}')
  await noFiles['a named pipe']?.(join(storage, 'Shop/.bodies/body.body.txt'))

  const { code, stderr, stdout } = await nsb(['run', '--no-retries', '--until-idle', '1s', '--log', 'json'], { cwd: folder })

  expect(code, stderr).toBe(3)
  const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as object
  expect(summary).toMatchObject({ schema: 'nsb.summary/1', handled: 2, failed: 1, criticalErrors: 2 })
  for (const name of ['large', 'pipe']) expect(stderr).toMatch(new RegExp(`NSB_FILE_LEFT_ALONE: '.*/Shop/${name}\\.metadata\\.txt'`))
  expect(readdirSync(join(storage, 'Shop')).filter((name) => !name.startsWith('.'))).toEqual(['large.metadata.txt', 'pipe.metadata.txt'])
})

/** undefined: nsb can be run as another user. */
function whyNoOtherUser(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can become another user'
  const { status } = spawnSync(process.execPath, [run, '--version'], { uid: user, gid: user, env: { HOME: '/' } })
  return status === 0 ? undefined : 'another user may not read this folder'
}

const reason = whyNoOtherUser()
if (reason !== undefined) console.log(`files that this user may not read are not tested: ${reason}`)

describe.skipIf(reason !== undefined)('of files that this user may not read', () => {
  /** Everything belongs to the other user, but for these. */
  const give = (folder: string, ...except: readonly string[]): void => {
    chownSync(folder, user, user)
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) chownSync(join(folder, name), user, user)
    for (const path of except) {
      chownSync(path, 0, 0)
      chmodSync(path, 0)
    }
  }
  const asOther = (
    folder: string,
    ...words: readonly string[]
  ): { readonly code: number | null; readonly stdout: string; readonly stderr: string } => {
    const env = { PATH: process.env['PATH'], HOME: folder, NSB_STATE_DIR: join(folder, 'state'), CI: '1' }
    const { status, stderr, stdout } = spawnSync(process.execPath, [run, ...words], {
      cwd: folder,
      env,
      uid: user,
      gid: user,
      encoding: 'utf8',
    })
    return { code: status, stdout, stderr }
  }

  it('each is one refusal by its name: the others are listed, archived and replayed, and they stay', () => {
    const { folder, storage } = projectWith()
    mkdirSync(join(storage, 'Sales'))
    for (const id of ['m0', 'm1', 'closed', 'bodyless']) putMessage(storage, 'error', id, failureHeaders(id))
    const closed = [join(storage, 'error/closed.metadata.txt'), join(storage, 'error/.bodies/bodyless.body.txt')]
    give(folder, ...closed)

    const list = asOther(folder, 'errors', 'list', '--json')
    const poison = asOther(folder, 'errors', 'list', '--kind', 'poison', '--json')
    const archive = asOther(folder, 'errors', 'archive', '--all', '--kind', 'poison', '--yes')
    const replay = asOther(folder, 'errors', 'replay', '--type', 'PlaceOrder', '--yes')

    expect([list.code, poison.code], list.stderr).toEqual([0, 0])
    expect(JSON.parse(poison.stdout)).toMatchObject({ total: 2 })
    expect(archive.code, archive.stderr).toBe(3)
    for (const path of closed) expect(archive.stderr).toContain(`'${path}' may not be read by this user (EACCES)`)
    expect(replay.code, replay.stderr).toBe(0)
    expect(readdirSync(join(storage, 'Sales')).filter((name) => !name.startsWith('.'))).toHaveLength(2)
    for (const path of closed) expect(existsSync(path)).toBe(true)
  })

  it('run handles the others, names each once, and does not end with 0', async () => {
    const folder = shop('await Promise.resolve()')
    const storage = join(folder, '.learningtransport')
    await fill(folder, 0, 3)
    const [first = ''] = readdirSync(join(storage, 'Shop')).filter((name) => name.endsWith('.txt'))
    const path = join(storage, 'Shop', first)
    give(folder, path)

    const { code, stderr, stdout } = asOther(folder, 'run', '--no-retries', '--until-idle', '1s', '--log', 'json')

    expect(code, stderr).toBe(3)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ handled: 2, failed: 0, criticalErrors: 1 })
    expect(stderr.split(`'${path}' may not be read`)).toHaveLength(2)
    expect(statSync(path).size).toBeGreaterThan(0)
  })

  it('a queue is left out of the list of queues, by its name', () => {
    const { folder, storage } = projectWith()
    for (const queue of ['open', 'closed']) putMessage(storage, queue, 'm', failureHeaders('m'))
    give(folder, join(storage, 'closed'))

    const { code, stderr, stdout } = asOther(folder, 'queues', 'list', '--output', 'ids')

    expect(code, stderr).toBe(0)
    expect(stdout).toBe('Shop.Server\nopen\n')
    expect(stderr).toContain(`'${join(storage, 'closed')}' may not be used by this user (EACCES)`)
  })

  it('looking needs no right to write, even where a process died with messages in its hands', () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'error', 'm0', failureHeaders('m0'))
    mkdirSync(join(storage, 'error/.pending/01234567'), { recursive: true })
    writeFileSync(join(storage, 'error/.pending/01234567/m1.metadata.txt'), JSON.stringify(failureHeaders('m1')))
    mkdirSync(join(storage, '.nsb/owners'), { recursive: true })
    writeFileSync(join(storage, '.nsb/owners/01234567'), JSON.stringify({ pid: 2 ** 30, host: hostname() }))
    mkdirSync(join(folder, 'state'))
    chownSync(join(folder, 'state'), user, user)
    for (const path of [folder, storage]) chmodSync(path, 0o755)

    const { code, stderr, stdout } = asOther(folder, 'errors', 'list', '--json')

    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ total: 1 })
    expect(stderr).toMatch(/What a process that died left in queue 'error' could not be finished/)
  })
})
