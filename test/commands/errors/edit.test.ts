import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { type Ended, type StoredMessage, failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../../cli/nsb.ts'
import { shop, write } from '../../support/shop-project.ts'
import { hasTerminal, key, startInTerminal } from '../../support/terminal.ts'
import { archivesIn } from '../../support/archives.ts'

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

interface World {
  readonly folder: string
  readonly storage: string
  readonly state: string
  readonly run: (...words: readonly string[]) => Promise<Ended>
  readonly errors: () => StoredMessage[]
  readonly sales: () => StoredMessage[]
}

function worldOf(folder: string, body: string, more: Readonly<Record<string, string>> = {}): World {
  const storage = join(folder, '.learningtransport')
  mkdirSync(join(storage, 'Sales', '.bodies'), { recursive: true })
  putMessage(storage, 'error', 'entry-1', failureHeaders('m1', { Tenant: 'acme', ...more }), body)
  const state = join(folder, 'state')
  return {
    folder,
    storage,
    state,
    run: (...words) => nsb(['errors', 'edit', ...words], { cwd: folder, env: { NSB_STATE_DIR: state } }),
    errors: () => messagesIn(storage, 'error'),
    sales: () => messagesIn(storage, 'Sales'),
  }
}

const world = (body = '{"OrderId":"42","Total":10.50}', more: Readonly<Record<string, string>> = {}): World =>
  worldOf(projectWith().folder, body, more)

const codeOf = (ended: Ended): unknown => (ended.json()['error'] as { code: string }).code

function archived(state: string): readonly string[] {
  const folder = join(archivesIn(state)[0] ?? '', 'error')
  return readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
}

describe('errors edit with flags', () => {
  it('E-34 sends a copy with a new id, removes the original and keeps it in the archive', async () => {
    const { errors, run, sales, state } = world()

    const ended = await run('m1', '--set-header', 'Tenant=other', '--merge', '{"Total":12.00}', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    const [copy] = sales()
    const document = ended.json()
    assert.match(String(document['messageId']), guid)
    assert.match(String(document['operation']), /^[0-9A-Z]{26}$/)
    assert.equal(copy?.headers['NServiceBus.MessageId'], document['messageId'])
    assert.equal(copy?.headers['ServiceControl.EditOf'], document['uniqueId'])
    assert.equal(copy?.headers['Tenant'], 'other')
    assert.equal(copy?.headers['NServiceBus.FailedQ'], undefined)
    assert.equal(copy?.body, '{"OrderId":"42","Total":12.00}')
    assert.deepEqual(errors(), [])
    const { archivedIn, messageId: _, operation, uniqueId, ...rest } = document
    assert.deepEqual(rest, {
      schema: 'nsb.errors.edit/1',
      profile: 'default',
      queue: 'error',
      target: 'Sales',
      changed: { headers: ['Tenant'], body: true },
      result: 'published',
      leftInQueue: 0,
    })
    const [line, ...more] = archived(state)
    assert.deepEqual(more, [])
    const saved = JSON.parse(line ?? '') as { headers: Record<string, string>; body: { data: string } }
    assert.deepEqual(
      [saved.headers['NServiceBus.MessageId'], saved.headers['Tenant'], saved.body.data],
      ['m1', 'acme', '{"OrderId":"42","Total":10.50}'],
    )
    assert.deepEqual({ ...saved, uniqueId, operation }, saved)
    assert.equal(statSync(String(archivedIn)).mode & 0o777, 0o600)
    const journal = join(state, 'operations', `${String(operation)}.ndjson`)
    assert.equal(statSync(journal).mode & 0o777, 0o600)
    assert.match(readFileSync(journal, 'utf8'), /"end"/)
  })

  it('E-34 leaves what a patch does not touch as it is written', async () => {
    const { folder, run, sales } = world('\uFEFF{ "10":1.0, "2":9007199254740993, "g":"\\u00f6", "n":1 }')
    writeFileSync(join(folder, 'patch.json'), '[{"op":"test","path":"/n","value":1},{"op":"replace","path":"/n","value":2.500}]')

    const ended = await run('m1', '--patch', '@patch.json', '--yes')

    assert.equal(ended.code, 0, ended.stderr)
    assert.equal(sales()[0]?.body, '\uFEFF{ "10":1.0, "2":9007199254740993, "g":"\\u00f6", "n":2.500 }')
  })

  it('E-34 goes to --to, and to the redirect of the project', async () => {
    const { folder, run, storage } = world()
    mkdirSync(join(storage, 'Other', '.bodies'), { recursive: true })
    putMessage(storage, 'error', 'entry-2', failureHeaders('m2', { 'NServiceBus.FailedQ': 'Old' }))
    writeFileSync(join(folder, 'nsb.json'), '{"redirects":{"Old":"Other"}}')

    await run('m1', '--set-header', 'a=b', '--to', 'Other', '--yes')
    await run('m2', '--set-header', 'a=b', '--yes')

    assert.equal(messagesIn(storage, 'Other').length, 2)
  })

  it('E-34 --no-replay puts it back as a failure with a new identity', async () => {
    const { errors, run, sales } = world()

    const ended = await run('m1', '--merge', '{"Total":1}', '--no-replay', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    const [entry, ...more] = errors()
    assert.deepEqual(more, [])
    assert.deepEqual(sales(), [])
    assert.equal(entry?.headers['NServiceBus.MessageId'], ended.json()['messageId'])
    assert.equal(entry?.headers['NServiceBus.FailedQ'], 'Sales')
    assert.equal(entry?.headers['NServiceBus.ExceptionInfo.Message'], 'no stock')
    assert.equal(entry?.body, '{"OrderId":"42","Total":1}')
    const again = await run(String(ended.json()['messageId']), '--merge', '{"Total":2}', '--yes')
    assert.equal(again.code, 0, again.stderr)
  })

  it('E-35 changes nothing where nothing changes', async () => {
    const { errors, run, state } = world()

    const ended = await run('m1', '--set-header', 'Tenant=acme', '--merge', '{"OrderId":"42"}', '--yes', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    assert.equal(ended.json()['result'], 'unchanged')
    assert.equal(errors().length, 1)
    assert.equal(existsSync(join(state, 'archive')), false)
  })

  it.each([
    ['E-35 a locked header', ['--set-header', 'NServiceBus.MessageId=x', '--yes'], 2, 'NSB_LOCKED_HEADER'],
    ['E-35 a locked header that is to go', ['--unset-header', 'NServiceBus.FailedQ', '--yes'], 2, 'NSB_LOCKED_HEADER'],
    ['E-35 a header that is not there', ['--unset-header', 'Tennant', '--yes'], 2, 'NSB_BAD_HEADER'],
    ['E-35 a patch that does not apply', ['--patch', '[{"op":"remove","path":"/No"}]', '--yes'], 2, 'NSB_PATCH_FAILED'],
    ['E-35 a patch that is none', ['--patch', '{}', '--yes'], 2, 'NSB_BAD_PATCH'],
    ['E-35 a body that is no JSON', ['--body-file', 'no.json', '--yes'], 2, 'NSB_NOT_JSON'],
    ['E-35 a body that is no text', ['--body-file', 'no.txt', '--yes'], 2, 'NSB_NOT_TEXT'],
    ['E-35 no file', ['--body-file', 'nowhere.json', '--yes'], 2, 'NSB_FILE_NOT_READABLE'],
    ['E-35 nobody who says yes', ['--set-header', 'a=b'], 6, 'NSB_NEEDS_CONFIRMATION'],
    ['E-35 no change and no terminal', ['--yes'], 2, 'NSB_NEEDS_INPUT'],
    ['E-35 a target that does not exist', ['--set-header', 'a=b', '--to', 'Nowhere', '--yes'], 4, 'NSB_QUEUE_NOT_FOUND'],
    ['E-44 a target outside', ['--set-header', 'a=b', '--to', '../x', '--yes'], 2, 'NSB_BAD_ADDRESS'],
    ['E-35 two ways at once', ['--set-header', 'a=b', '--to', 'Sales', '--no-replay', '--yes'], 2, 'NSB_BAD_ARGUMENTS'],
  ])('%s ends with its code, and nothing is sent', async (_, words, code, name) => {
    const { errors, folder, run, sales, state } = world()
    writeFileSync(join(folder, 'no.json'), '{"a":')
    writeFileSync(join(folder, 'no.txt'), Buffer.from([0xff]))

    const ended = await run('m1', ...words, '--json')

    assert.equal(ended.code, code, ended.stdout)
    assert.equal(codeOf(ended), name)
    assert.equal(errors().length, 1)
    assert.deepEqual(sales(), [])
    assert.equal(existsSync(join(state, 'archive')), false)
  })

  it.each([
    ['binary', { 'NServiceBus.ContentType': 'application/octet-stream' }, '{}'],
    ['compressed', { 'Content-Encoding': 'gzip' }, '{}'],
    ['with encrypted properties', { 'NServiceBus.RijndaelKeyIdentifier': '2015-10' }, '{}'],
    ['with an encrypted value', {}, '{"Card":{"EncryptedBase64Value":"x"}}'],
  ])('E-34 a body is not replaced that is %s, but its headers may change', async (_, headers, body) => {
    const { folder, run, sales } = world(body, headers as Record<string, string>)
    writeFileSync(join(folder, 'body.json'), '{"a":1}')

    const replaced = await run('m1', '--body-file', 'body.json', '--yes', '--json')
    const header = await run('m1', '--set-header', 'Tenant=b', '--yes', '--json')

    assert.equal(replaced.code, 2)
    assert.equal(codeOf(replaced), 'NSB_BODY_NOT_EDITABLE')
    assert.equal(header.code, 0, header.stderr)
    assert.equal(sales()[0]?.body, body)
  })

  it('E-34 a body that is no JSON can be corrected', async () => {
    const { folder, run, sales } = world('{"OrderId":')
    writeFileSync(join(folder, 'body.json'), '{"OrderId":"42"}')

    assert.equal((await run('m1', '--body-file', 'body.json', '--yes')).code, 0)
    assert.equal(sales()[0]?.body, '{"OrderId":"42"}')
  })

  it('E-34 XML has to be closed', async () => {
    const { folder, run, sales } = world('<Order><Id>42</Id></Order>', { 'NServiceBus.ContentType': 'text/xml' })
    writeFileSync(join(folder, 'no.xml'), '<Order><Id>43</Order>')
    writeFileSync(join(folder, 'yes.xml'), '<Order><Id>43</Id></Order>')

    assert.equal(codeOf(await run('m1', '--body-file', 'no.xml', '--yes', '--json')), 'NSB_NOT_XML')
    assert.equal((await run('m1', '--body-file', 'yes.xml', '--yes')).code, 0)
    assert.equal(sales()[0]?.body, '<Order><Id>43</Id></Order>')
  })

  it('E-35 --dry-run shows the change and leaves everything as it is', async () => {
    const { errors, run, sales, state } = world()

    const ended = await run('m1', '--merge', '{"Total":1}', '--dry-run', '--json')

    assert.equal(ended.code, 0, ended.stderr)
    assert.match(ended.stderr, /- {3}"Total": 10.50\n\+ {3}"Total": 1\n/)
    assert.deepEqual([ended.json()['dryRun'], ended.json()['target']], [true, 'Sales'])
    assert.equal(errors().length, 1)
    assert.deepEqual(sales(), [])
    assert.equal(existsSync(join(state, 'archive')), false)
  })

  it('E-35 says when a header is sensitive, locked, or will not last', async () => {
    const { run } = world()

    const ended = await run(
      'm1',
      '--set-header',
      'NServiceBus.ReplyToAddress=Web',
      '--set-header',
      'NServiceBus.RelatedTo=x',
      '--set-header',
      'NServiceBus.ProcessingEndpoint=Other',
      '--dry-run',
    )

    assert.match(ended.stderr, /'NServiceBus.ReplyToAddress' is another one now/)
    assert.match(ended.stderr, /'NServiceBus.RelatedTo' is added/)
    assert.match(ended.stderr, /'NServiceBus.ProcessingEndpoint' has no effect/)
  })

  it('E-37 sends nothing when the original cannot be archived', async () => {
    const { errors, run, sales, state } = world()
    mkdirSync(state)
    writeFileSync(join(state, 'archive'), 'a file where a folder should be')

    const ended = await run('m1', '--set-header', 'a=b', '--yes', '--json')

    assert.notEqual(ended.code, 0)
    assert.equal(codeOf(ended), 'NSB_ARCHIVE_UNWRITABLE')
    assert.equal(errors().length, 1)
    assert.deepEqual(sales(), [])
  })

  it('E-44 shows nothing of a message that steers the terminal', async () => {
    const { run } = world('{"a":"\u202e"}', { Evil: '\u001b[2J' })

    const ended = await run('m1', '--merge', '{"a":"\u009bx"}', '--set-header', 'Evil=\u001b]0;x', '--dry-run')

    assert.equal(ended.code, 0, ended.stderr)
    assert.doesNotMatch(ended.stderr + ended.stdout, /[^\P{Cc}\n]|\p{Cf}/u)
  })

  it('E-34 wants to be told where a message goes that does not say it', async () => {
    const { run, sales, storage } = world()
    putMessage(storage, 'error', 'entry-2', { 'NServiceBus.MessageId': 'm2', 'NServiceBus.ContentType': 'text/json' }, '{"a":1}')

    const nowhere = await run('m2', '--merge', '{"a":2}', '--yes', '--json')
    const sent = await run('m2', '--merge', '{"a":2}', '--to', 'Sales', '--yes')

    assert.deepEqual([nowhere.code, codeOf(nowhere)], [2, 'NSB_NO_TARGET'])
    assert.equal(sent.code, 0, sent.stderr)
    assert.equal(sales()[0]?.body, '{"a":2}')
  })

  it('CLI-17 a protected profile wants its name', async () => {
    const { folder, run, sales } = world()
    writeFileSync(join(folder, 'nsb.json'), '{"profiles":{"default":{"transport":"learning","protect":true}}}')

    const yes = await run('m1', '--set-header', 'a=b', '--yes', '--json')
    const named = await run('m1', '--set-header', 'a=b', '--confirm', 'default')

    assert.deepEqual([yes.code, codeOf(yes), named.code], [6, 'NSB_NEEDS_CONFIRMATION', 0])
    assert.equal(sales().length, 1)
  })

  it('refuses entries that are no messages', async () => {
    const { run, storage } = world()
    writeFileSync(join(storage, 'error', 'broken.metadata.txt'), '{"NServiceBus')
    putMessage(storage, 'error', 'ack', { 'NServiceBus.MessageId': 'ack1', 'ServiceControl.Retry.Successful': 'now' }, '')

    assert.equal(codeOf(await run('ack1', '--set-header', 'a=b', '--yes', '--json')), 'NSB_NOT_EDITABLE')
    assert.equal(codeOf(await run('broken', '--set-header', 'a=b', '--yes', '--json')), 'NSB_NOT_EDITABLE')
    assert.equal((await run('nothing', '--set-header', 'a=b', '--yes')).code, 4)
  })
})

describe('errors edit in a project', () => {
  it('E-34 checks the body against the schema of its type, where it is declared', async () => {
    const folder = shop()
    write(folder, {
      'src/messages/ship-order.ts': `import { command } from 'nsbus'
import { z } from 'zod'
export class ShipOrder extends command('Shop.Messages.ShipOrder', z.object({ OrderId: z.string(), Quantity: z.int() })) {}
`,
    })
    const types = { 'NServiceBus.EnclosedMessageTypes': 'Shop.Messages.ShipOrder, Shop.Messages, Version=1.0.0.0' }
    const { run, sales } = worldOf(folder, '{"OrderId":"42","Quantity":"two","Extra":1}', types)

    const invalid = await run('m1', '--merge', '{"Quantity":"three"}', '--yes', '--json')
    const misspelt = await run('m1', '--merge', '{"Quantity":3,"Quantiy":3}', '--yes', '--json')
    const sent = await run('m1', '--merge', '{"Quantity":3}', '--yes', '--json')

    assert.deepEqual([codeOf(invalid), codeOf(misspelt)], ['NSB_BODY_INVALID', 'NSB_BODY_INVALID'])
    assert.equal(sent.code, 0, sent.stderr)
    assert.equal(sales()[0]?.body, '{"OrderId":"42","Quantity":3,"Extra":1}')
  })

  it('E-34 --no-validate sends what the schema refuses; code that does not compile keeps nobody from editing', async () => {
    const folder = shop()
    write(folder, { 'src/messages/broken.ts': 'export class {' })
    const { run, storage } = worldOf(folder, '{}')
    putMessage(storage, 'error', 'entry-2', failureHeaders('m2'))

    const warned = await run('m1', '--merge', '{"a":1}', '--yes')
    const silent = await run('m2', '--merge', '{"a":1}', '--no-validate', '--yes')

    assert.deepEqual([warned.code, silent.code], [0, 0], warned.stderr)
    assert.match(warned.stderr, /not checked against the schema/)
    assert.doesNotMatch(silent.stderr, /not checked/)
  })
})

/** Newer versions of Node keep there what they have compiled. */
const draftsIn = ({ TMPDIR }: { readonly TMPDIR: string }): readonly string[] =>
  readdirSync(TMPDIR).filter((name) => !name.startsWith('nsbus-'))

/** An editor that does something to its file; its name has a blank. */
function editorIn(
  folder: string,
  ...lines: readonly string[]
): { readonly EDITOR: string; readonly TMPDIR: string; readonly NSB_STATE_DIR: string } {
  const path = join(folder, 'my editor.sh')
  const drafts = join(folder, 'drafts')
  mkdirSync(drafts)
  writeFileSync(path, `#!/bin/sh\n[ "$1" = --wait ] || exit 9\nfile="$2"\n${lines.join('\n')}\n`, { mode: 0o755 })
  return { EDITOR: `"${path}" --wait`, TMPDIR: drafts, NSB_STATE_DIR: join(folder, 'state') }
}

describe.skipIf(!hasTerminal)('errors edit in an editor (needs script)', () => {
  it('E-34 shows headers and body in a private file, a diff and a question, and sends what was saved', async () => {
    const { errors, folder, sales } = world()
    const env = editorIn(
      folder,
      `cp "$file" '${folder}/seen.txt'`,
      `stat -c '%a' "$file" "$(dirname "$file")" > '${folder}/mode.txt'`,
      `sed -i -e 's/^Tenant: acme/Tenant: other/' -e 's/10.50/12.00/' "$file"`,
    )

    const terminal = startInTerminal(['errors', 'edit', 'm1'], folder, env)
    await terminal.shows('- Tenant: acme')
    await terminal.shows('+   "Total": 12.00')
    await terminal.shows("Send the edited message to 'Sales' and remove the original from 'error'?")
    terminal.type(`y${key.enter}`)

    assert.equal(await terminal.ended, 0, terminal.screen)
    assert.match(
      readFileSync(join(folder, 'seen.txt'), 'utf8'),
      /^Tenant: acme$[^]*^# NServiceBus.MessageId: m1$[^]*^=== body ===$[^]*^ {2}"Total": 10.50$/m,
    )
    assert.equal(readFileSync(join(folder, 'mode.txt'), 'utf8'), '600\n700\n')
    assert.equal(sales()[0]?.headers['Tenant'], 'other')
    assert.equal(sales()[0]?.body, '{"OrderId":"42","Total":12.00}')
    assert.deepEqual(errors(), [])
    assert.deepEqual(draftsIn(env), [])
  })

  it('E-35 an unchanged file is no change, and leaves nothing', async () => {
    const { errors, folder, sales, state } = world()
    const env = editorIn(folder, 'touch "$file"')

    const terminal = startInTerminal(['errors', 'edit', 'm1'], folder, env)

    assert.equal(await terminal.ended, 0, terminal.screen)
    assert.match(terminal.screen, /no changes, nothing was sent/)
    assert.equal(errors().length, 1)
    assert.deepEqual(sales(), [])
    assert.deepEqual(draftsIn(env), [])
    assert.equal(existsSync(join(state, 'archive')), false)
  })

  it('E-35 a body that is not what it says comes with what to do', async () => {
    const { folder, run } = world()
    writeFileSync(join(folder, 'no.json'), '{"a":}')

    const ended = await run('m1', '--body-file', 'no.json', '--yes')

    assert.equal(ended.code, 2)
    assert.match(
      ended.stderr,
      /NSB_NOT_JSON: .*line 1, column 6.*Nothing was sent\.\n {2}Try: Correct it there\n {2}Try: .*--set-header NServiceBus\.ContentType/,
    )
  })

  it('E-35 a locked header or a body that is not valid can be edited again', async () => {
    const { folder, sales } = world()
    const env = editorIn(
      folder,
      `if [ ! -e '${folder}/once' ]; then touch '${folder}/once'; sed -i -e 's/10.50/10.50,/' "$file"`,
      `elif [ ! -e '${folder}/twice' ]; then touch '${folder}/twice'; sed -i -e 's/10.50,/11.50/' -e '1s/^/NServiceBus.MessageId: x\\n/' "$file"`,
      'else sed -i -e 1d "$file"; fi',
    )

    const terminal = startInTerminal(['errors', 'edit', 'm1'], folder, env)
    await terminal.shows('Error NSB_NOT_JSON')
    await terminal.shows('Edit again?')
    terminal.type(key.enter)
    await terminal.shows('Error NSB_LOCKED_HEADER')
    await terminal.shows('Edit again?')
    terminal.type(key.enter)
    await terminal.shows('remove the original')
    terminal.type(`y${key.enter}`)

    assert.equal(await terminal.ended, 0, terminal.screen)
    assert.equal(sales()[0]?.body, '{"OrderId":"42","Total":11.50}')
  })

  it('E-35 who gives up finds the text in a file that is named', async () => {
    const { errors, folder, sales } = world()
    const env = editorIn(folder, `sed -i -e 's/10.50/11.50/' "$file"`)

    const terminal = startInTerminal(['errors', 'edit', 'm1', '--body-only'], folder, env)
    await terminal.shows('remove the original')
    terminal.type(`n${key.enter}`)

    assert.equal(await terminal.ended, 6, terminal.screen)
    const [draft = ''] = draftsIn(env)
    const file = join(env.TMPDIR, draft, 'message.json')
    assert.equal(readFileSync(file, 'utf8'), '{\n  "OrderId": "42",\n  "Total": 11.50\n}\n')
    assert.match(terminal.screen, /The edited text is in .*message\.json/)
    assert.equal(errors().length, 1)
    assert.deepEqual(sales(), [])
  })

  it('E-35 a message that is taken meanwhile is said to be taken, and the text is kept', async () => {
    const { folder, sales, storage } = world()
    const env = editorIn(
      folder,
      `sed -i -e 's/acme/other/' "$file"`,
      `rm '${storage}/error/entry-1.metadata.txt' '${storage}/error/.bodies/entry-1.body.txt'`,
    )

    const terminal = startInTerminal(['errors', 'edit', 'm1', '--headers-only'], folder, env)
    await terminal.shows('remove the original')
    terminal.type(`y${key.enter}`)

    assert.equal(await terminal.ended, 4, terminal.screen)
    assert.match(terminal.screen, /Error NSB_MESSAGE_TAKEN/)
    assert.equal(draftsIn(env).length, 1)
    assert.deepEqual(sales(), [])
  })

  it('E-35 an editor that fails sends nothing', async () => {
    const { errors, folder } = world()

    const missing = startInTerminal(['errors', 'edit', 'm1'], folder, { VISUAL: '/no/such/editor', EDITOR: 'true' })
    const failing = startInTerminal(['errors', 'edit', 'm1'], folder, { EDITOR: 'false' })

    assert.deepEqual([await missing.ended, await failing.ended], [2, 2])
    assert.match(missing.screen, /NSB_EDITOR_FAILED: The editor '\/no\/such\/editor' cannot be started/)
    assert.match(failing.screen, /ended with 1/)
    assert.equal(errors().length, 1)
  })
})
