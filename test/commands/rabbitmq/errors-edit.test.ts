import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Ended, failureHeaders, nsb, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import type { ErrorQueueOptions, Lying } from '../../support/error-queue.ts'
import { hasTerminal, key, startInTerminal } from '../../support/terminal.ts'
import { makeErrorWorld } from '../../support/error-world.ts'
import type { VirtualHost } from '../../support/virtual-host.ts'

/** A failure of the endpoint Sales with a JSON body. */
const failure = (id: string, more: Readonly<Record<string, unknown>> = {}, properties: object = {}) => ({
  body: `{"OrderId":"${id}","Total":10.50}`,
  headers: { ...failureHeaders(id), ...more },
  properties: { messageId: id, contentType: 'application/json', ...properties },
})

const idsOf = (messages: readonly Lying[]): string[] => messages.map(({ properties }) => String(properties['messageId']))
const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { readonly code: string }).code
const kinds: readonly ErrorQueueOptions[] = [{ kind: 'quorum', deliveryLimit: 20 }, { kind: 'quorum' }, { kind: 'classic' }]

describe('errors edit on a broker', () => {
  it('E-34 sends a copy with a new id as header and as property, and keeps the original in the archive', async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    const number = { '!': 'int64', value: 5 }
    await errors.put([
      failure('m1', { Tenant: 'acme', Number: number, CC: ['other'] }, { priority: 4, replyTo: 'Web', expiration: '3600000' }),
    ])

    const ended = await shop.run('errors', 'edit', 'm1', '--set-header', 'Tenant=b', '--merge', '{"Total":12.00}', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    const [copy, ...more] = await sales.drain()
    assert.deepEqual(more, [])
    const messageId = ended.json()['messageId']
    assert.equal(copy?.body, '{"OrderId":"m1","Total":12.00}')
    assert.equal(copy?.properties['messageId'], messageId)
    assert.equal(copy?.properties['priority'], 4)
    assert.equal(copy?.properties['replyTo'], 'Web')
    assert.equal(copy?.properties['expiration'], undefined)
    assert.deepEqual(copy?.headers, {
      'NServiceBus.MessageId': messageId,
      'NServiceBus.ContentType': 'application/json',
      'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.PlaceOrder, Shop.Messages',
      'NServiceBus.ReplyToAddress': 'Web',
      Tenant: 'b',
      Number: 5,
      'ServiceControl.EditOf': ended.json()['uniqueId'],
    })
    assert.equal(copy?.deliveries, 0)
    assert.equal(await errors.depth(), 0)
    const file = String(ended.json()['archivedIn'])
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.match(readFileSync(file, 'utf8'), /"messageId":"m1".*"Number":\{"!":"long","v":5\}|"CC":\["other"\]/)
  })

  it.each(kinds)('E-34 leaves the others in their order: %o', async (options) => {
    const { errors, sales, shop } = await makeErrorWorld(options)
    const ids = Array.from({ length: 60 }, (_, index) => `m${index + 1}`)
    await errors.put(ids.map((id) => failure(id)))

    const ended = await shop.run('errors', 'edit', 'm30', '--merge', '{"a":1}', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    assert.equal(ended.json()['leftInQueue'], 59)
    assert.equal((await sales.drain()).length, 1)
    assert.deepEqual(
      idsOf(await errors.drain()),
      ids.filter((id) => id !== 'm30'),
    )
  })

  it('E-34 --no-replay puts it back with its failure and a new id, and what the broker counts', async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.put([failure('m1'), failure('m2')])

    const ended = await shop.run('errors', 'edit', 'm1', '--merge', '{"Total":1}', '--no-replay', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    const [other, back] = await errors.drain()
    assert.equal(other?.properties['messageId'], 'm2')
    assert.equal(back?.properties['messageId'], ended.json()['messageId'])
    assert.equal(back?.headers['NServiceBus.FailedQ'], 'Sales')
    assert.equal(back?.headers['NServiceBus.ExceptionInfo.Message'], 'no stock')
    assert.equal(await sales.depth(), 0)
  })

  it('E-35 a locked header, a patch that does not apply, no target: nothing is sent, and the original stays', async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.put([failure('m1'), failure('m2', { 'NServiceBus.FailedQ': 'Nowhere' })])

    const locked = await shop.run('errors', 'edit', 'm1', '--set-header', 'NServiceBus.FailedQ=x', '--yes', '--json')
    const patch = await shop.run('errors', 'edit', 'm1', '--patch', '[{"op":"remove","path":"/x"}]', '--yes', '--json')
    const target = await shop.run('errors', 'edit', 'm2', '--merge', '{"a":1}', '--yes', '--json')

    assert.deepEqual([locked.code, patch.code, target.code], [2, 2, 4])
    assert.deepEqual([codeOf(locked), codeOf(patch), codeOf(target)], ['NSB_LOCKED_HEADER', 'NSB_PATCH_FAILED', 'NSB_QUEUE_NOT_FOUND'])
    assert.deepEqual(idsOf(await errors.drain()), ['m1', 'm2'])
    assert.equal(await sales.depth(), 0)
    assert.equal(existsSync(join(shop.state, 'archive')), false)
  })

  it('E-15 refuses next to a consumer', async () => {
    const { errors, shop } = await makeErrorWorld()
    await errors.put([failure('m1'), failure('m2')])
    const end = await errors.consume()
    onTestFinished(() => end().catch(() => undefined))

    const ended = await shop.run('errors', 'edit', 'm2', '--merge', '{"a":1}', '--yes', '--json')

    assert.equal(ended.code, 6)
    assert.equal(codeOf(ended), 'NSB_QUEUE_HAS_CONSUMER')
  })

  it('E-39 says the same as on folders', { timeout: 60_000 }, async () => {
    const { errors, shop } = await makeErrorWorld({ kind: 'classic' })
    const folder = temporaryFolder()
    const storage = join(folder, '.learningtransport')
    mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
    for (const id of ['m1', 'm2']) {
      putMessage(storage, 'error', id, failureHeaders(id), `{"OrderId":"${id}","Total":10.50}`)
      await errors.put([failure(id)])
    }
    const commands = [
      ['m1', '--merge', '{"Total":1}', '--dry-run'],
      ['m1', '--merge', '{"Total":1}', '--dry-run', '--json'],
      ['m1', '--merge', '{"Total":10.50}'],
      ['m1', '--set-header', 'NServiceBus.MessageId=x', '--json'],
      ['m1', '--merge', '{"Total":1}', '--json'],
      ['m1', '--merge', '{"Total":1}', '--yes', '--json'],
      ['m2', '--unset-header', 'NServiceBus.ContentType', '--yes'],
      ['m2', '--merge', '{}', '--yes', '--json'],
    ]

    for (const words of commands) {
      const onFolder = await nsb(['errors', 'edit', ...words], { cwd: folder, env: { NSB_STATE_DIR: join(folder, 'state') } })
      const onBroker = await shop.run('errors', 'edit', ...words)

      const said = ({ code, stdout }: Ended): string =>
        `${words.join(' ')}: ${code}\n${stdout}`
          .replaceAll(/[0-9A-Z]{26}/g, 'OPERATION')
          .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f-]{21}/g, 'COPY')
          .replaceAll(/"archivedIn": ".*"/g, '')
      assert.equal(said(onBroker), said(onFolder), onBroker.stderr)
    }
  })

  it('E-43 shows no password and writes none', async () => {
    const { errors, host, shop } = await makeErrorWorld()
    await errors.put([failure('m1')])
    const password = new URL(host.url).password

    const ended = await shop.run('errors', 'edit', 'm1', '--merge', '{"a":1}', '--yes', '-vv')

    assert.equal(ended.code, 0, ended.stderr)
    const written = readdirSync(shop.state, { recursive: true, encoding: 'utf8' })
      .map((name) => join(shop.state, name))
      .filter((path) => statSync(path).isFile())
    assert.ok(written.length >= 2)
    for (const text of [ended.stdout, ended.stderr, ...written.map((path) => readFileSync(path, 'utf8'))])
      assert.doesNotMatch(text, new RegExp(`:${password}@`))
    for (const path of written) assert.equal(statSync(path).mode & 0o777, 0o600, path)
  })
})

/** What editors left there; the code of the project is built in such a folder too. */
const textsIn = (drafts: string): readonly string[] => readdirSync(drafts).filter((name) => !name.startsWith('nsbus-'))

describe.skipIf(!hasTerminal)('errors edit in an editor, on a broker (needs script)', () => {
  /** @returns how many were closed */
  async function closeConnections(host: VirtualHost): Promise<number> {
    const open = await host.api<{ readonly name: string }[]>('GET', `vhosts/${host.name}/connections`)
    for (const connection of open) await host.api('DELETE', `connections/${encodeURIComponent(connection.name)}`).catch(() => undefined)
    return open.length
  }

  /** An editor that changes the body, and waits for a file to appear before it ends. */
  function slowEditor(): {
    readonly env: Readonly<Record<string, string>>
    readonly isOpen: string
    readonly close: () => void
    readonly drafts: string
  } {
    const folder = temporaryFolder()
    const drafts = join(folder, 'drafts')
    mkdirSync(drafts)
    const [isOpen, mayClose] = [join(folder, 'open'), join(folder, 'close')]
    const script = join(folder, 'editor.sh')
    writeFileSync(
      script,
      `#!/bin/sh\nsed -i -e 's/10.50/11.50/' "$1"\necho "open"\ntouch '${isOpen}'\nwhile [ ! -e '${mayClose}' ]; do sleep 0.05; done\n`,
      { mode: 0o755 },
    )
    return { env: { EDITOR: script, TMPDIR: drafts }, isOpen, drafts, close: () => writeFileSync(mayClose, '') }
  }

  it('E-34 holds nothing while the editor is open', { timeout: 60_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.put([failure('m1'), failure('m2')])
    const editor = slowEditor()

    const terminal = startInTerminal(['errors', 'edit', 'm1', '--body-only'], shop.folder, { ...editor.env, NSB_STATE_DIR: shop.state })
    await terminal.shows('open')
    const whileOpen = await errors.depth()
    const listed = await shop.run('errors', 'list', '--count', '--refresh')
    editor.close()
    await terminal.shows('remove the original')
    terminal.type(`y${key.enter}`)

    assert.equal(await terminal.ended, 0, terminal.screen)
    assert.deepEqual([whileOpen, listed.stdout.trim()], [2, '2'])
    assert.deepEqual(
      (await sales.drain()).map(({ body }) => body),
      ['{"OrderId":"m1","Total":11.50}'],
    )
    assert.deepEqual(idsOf(await errors.drain()), ['m2'])
    assert.deepEqual(textsIn(editor.drafts), [])
  })

  it('E-34 goes on after the connection was lost while the editor was open', { timeout: 60_000 }, async () => {
    const { errors, host, sales, shop } = await makeErrorWorld()
    await errors.put([failure('m1')])
    const editor = slowEditor()

    const terminal = startInTerminal(['errors', 'edit', 'm1'], shop.folder, { ...editor.env, NSB_STATE_DIR: shop.state })
    await terminal.shows('open')
    // The broker's statistics know of a connection a little later.
    await expect.poll(() => closeConnections(host), { timeout: 20_000 }).toBeGreaterThan(0)
    editor.close()
    await terminal.shows('remove the original')
    terminal.type(`y${key.enter}`)

    assert.equal(await terminal.ended, 0, terminal.screen)
    assert.equal((await sales.drain()).length, 1)
    assert.equal(await errors.depth(), 0)
  })

  it('E-35 a message that was replayed meanwhile is not sent again, and the text is kept', { timeout: 60_000 }, async () => {
    const { errors, sales, shop } = await makeErrorWorld()
    await errors.put([failure('m1'), failure('m2')])
    const editor = slowEditor()

    const terminal = startInTerminal(['errors', 'edit', 'm1'], shop.folder, { ...editor.env, NSB_STATE_DIR: shop.state })
    await terminal.shows('open')
    const replayed = await shop.run('errors', 'replay', 'm1', '--yes')
    editor.close()
    await terminal.shows('remove the original')
    terminal.type(`y${key.enter}`)

    assert.equal(replayed.code, 0, replayed.stderr)
    assert.equal(await terminal.ended, 4, terminal.screen)
    assert.match(terminal.screen, /NSB_MESSAGE_TAKEN[^]*The edited text is in/)
    assert.equal(textsIn(editor.drafts).length, 1)
    assert.equal((await sales.drain()).length, 1)
    assert.deepEqual(idsOf(await errors.drain()), ['m2'])
  })
})
