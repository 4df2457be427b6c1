import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { failureHeaders, messagesIn, nsb, projectWith, putMessage } from '../../cli/nsb.ts'
import { startRun } from '../../support/running-nsb.ts'
import { shop } from '../../support/shop-project.ts'
import { type Terminal, hasTerminal, key, startInTerminal } from '../../support/terminal.ts'
import { learningArchive } from '../../support/archives.ts'

/** Moves down so many choices, and takes that one. */
function take(terminal: Terminal, down: number): void {
  for (let step = 0; step < down; step++) terminal.type(key.down)
  terminal.type(key.enter)
}

const interactive = (folder: string, ...flags: readonly string[]): Terminal => startInTerminal(['errors', '-i', ...flags], folder)

describe.skipIf(!hasTerminal)('errors --interactive (needs script)', () => {
  it('leads from the groups to samples, a dry run, one replay that is awaited, and the rest', { timeout: 60_000 }, async () => {
    const folder = shop('await Promise.resolve()')
    const storage = join(folder, '.learningtransport')
    for (const id of ['m1', 'm2', 'm3'])
      putMessage(
        storage,
        'error',
        id,
        {
          ...failureHeaders(id, { 'NServiceBus.FailedQ': 'Shop', 'NServiceBus.ProcessingEndpoint': 'Shop' }),
          'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder',
        },
        '{"OrderId":"1"}',
      )
    const endpoint = await startRun(folder, '--no-retries')
    const terminal = interactive(folder)

    await terminal.shows('3 messages in 1 group')
    await terminal.shows('Which group?')
    take(terminal, 0)
    await terminal.shows('3 messages: System.Exception')
    take(terminal, 0)
    await terminal.shows('Which one?')
    take(terminal, 0)
    await terminal.shows('exception   ')
    await terminal.shows('"OrderId": "1"')
    await terminal.shows('Which one?')
    take(terminal, 3)
    await terminal.shows('back to the groups')
    take(terminal, 1)
    await terminal.shows('3 messages would be sent')
    await terminal.shows('Shop  3  (queue exists')
    await terminal.shows('back to the groups')
    take(terminal, 2)
    await terminal.shows('Replay the oldest of them to where it failed?')
    terminal.type(`y${key.enter}`)
    await terminal.shows('replayed 1, succeeded 1, left in queue 2')
    await terminal.shows('2 messages: System.Exception')
    await terminal.shows('back to the groups')
    take(terminal, 3)
    await terminal.shows('Replay 2 messages to where each of them failed?')
    terminal.type(`y${key.enter}`)
    await terminal.shows('replayed 2, succeeded 2, left in queue 0')
    await terminal.shows("no failures in 'error'")

    expect(await terminal.ended, terminal.screen).toBe(0)
    endpoint.kill('SIGINT')
    await endpoint.ended
    assert.deepEqual(messagesIn(storage, 'error'), [])
  })

  it('says what failed again, and goes on when the answer is no', { timeout: 60_000 }, async () => {
    const folder = shop()
    const storage = join(folder, '.learningtransport')
    const headers = failureHeaders('m1', { 'NServiceBus.FailedQ': 'Shop', 'NServiceBus.EnclosedMessageTypes': 'Shop.PlaceOrder' })
    putMessage(storage, 'error', 'm1', headers, '{"OrderId":"bad"}')
    const endpoint = await startRun(folder, '--no-retries')
    const terminal = interactive(folder)

    await terminal.shows('Which group?')
    take(terminal, 0)
    await terminal.shows('back to the groups')
    take(terminal, 2)
    await terminal.shows('Replay the oldest of them')
    terminal.type(`n${key.enter}`)
    await terminal.shows('Not confirmed; nothing was done.')
    await terminal.shows('back to the groups')
    take(terminal, 2)
    await terminal.shows('Replay the oldest of them')
    terminal.type(`y${key.enter}`)
    await terminal.shows('failed again  Node.Error: no stock for bad')
    await terminal.shows('replayed 1, succeeded 0, failed again 1, left in queue 1')
    await terminal.shows('Which group?')
    take(terminal, 1)

    expect(await terminal.ended, terminal.screen).toBe(0)
    endpoint.kill('SIGINT')
    await endpoint.ended
    assert.equal(messagesIn(storage, 'error')[0]?.headers['Nsb.Replay.Count'], '1')
  })

  it('has the count typed above a hundred messages', { timeout: 60_000 }, async () => {
    const { folder, storage } = projectWith()
    putMessage(storage, 'Sales', 'there', {})
    for (let number = 0; number < 101; number++) putMessage(storage, 'error', `m${number}`, failureHeaders(`m${number}`))
    const terminal = interactive(folder)

    await terminal.shows('Which group?')
    take(terminal, 0)
    await terminal.shows('replay all 101')
    await terminal.shows('back to the groups')
    take(terminal, 3)
    await terminal.shows('Type 101 to go on:')
    terminal.type(`100${key.enter}`)
    await terminal.shows('Not confirmed')
    await terminal.shows('back to the groups')
    take(terminal, 6)

    expect(await terminal.ended).toBe(0)
    assert.equal(messagesIn(storage, 'error').length, 101)
  })

  it('moves a group into the archive, and leaves the others', { timeout: 60_000 }, async () => {
    const { folder, storage } = projectWith()
    for (const id of ['m1', 'm2']) putMessage(storage, 'error', id, failureHeaders(id))
    putMessage(storage, 'error', 'other', failureHeaders('other', { 'NServiceBus.ExceptionInfo.ExceptionType': 'Other' }))
    const state = join(folder, 'state')
    const terminal = startInTerminal(['errors', '-i'], folder, { NSB_STATE_DIR: state })

    await terminal.shows('3 messages in 2 groups')
    await terminal.shows('Which group?')
    take(terminal, 0)
    await terminal.shows('archive all 2')
    await terminal.shows('back to the groups')
    take(terminal, 4)
    await terminal.shows('Move 2 messages to')
    terminal.type(`y${key.enter}`)
    await terminal.shows('selected 2, archived 2, left in queue 1')
    await terminal.shows('1 message in 1 group')
    await terminal.shows('Which group?')
    take(terminal, 1)

    expect(await terminal.ended, terminal.screen).toBe(0)
    assert.deepEqual(
      messagesIn(storage, 'error').map(({ headers }) => headers['NServiceBus.MessageId']),
      ['other'],
    )
    const archive = join(learningArchive(state, storage), 'error')
    const [day = ''] = readdirSync(archive)
    const lines = readFileSync(join(archive, day), 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([{ messageId: 'm1' }, { messageId: 'm2' }])
  })

  it('lets one of many groups be found by its name, and shows no control characters', { timeout: 60_000 }, async () => {
    const { folder, storage } = projectWith()
    for (let number = 0; number < 30; number++)
      putMessage(
        storage,
        'error',
        `m${number}`,
        failureHeaders(`m${number}`, { 'NServiceBus.ExceptionInfo.ExceptionType': `Bad\u0007\u202e${number}!` }),
      )
    const terminal = interactive(folder)

    await terminal.shows('type to search')
    terminal.type('bad\\x07\\u202e17!')
    await terminal.shows('1  Bad\\x07\\u202e17!')
    terminal.type(key.enter)
    await terminal.shows('1 message: Bad\\x07\\u202e17!')
    terminal.type(key.interrupt)

    expect(await terminal.ended).toBe(130)
    expect(terminal.screen).not.toContain('\u0007')
    expect(terminal.screen).not.toContain('\u202e')
  })

  it('CLI-3 ends with 130 on Ctrl-C at a question, and leaves everything in place', async () => {
    const { folder, storage } = projectWith('12-error-queue')
    const before = readdirSync(join(storage, 'error'))
    const terminal = interactive(folder)
    await terminal.shows('Which group?')

    terminal.type(key.interrupt)

    expect(await terminal.ended).toBe(130)
    expect(terminal.screen).toContain('Interrupted')
    assert.deepEqual(readdirSync(join(storage, 'error')), before)
  })

  it('ends with 143 when it is told to while it asks', async () => {
    const { folder } = projectWith('12-error-queue')
    const terminal = interactive(folder)
    await terminal.shows('Which group?')

    terminal.terminate()

    expect(await terminal.ended, terminal.screen).toBe(143)
  })

  it('is offered where somebody sits in front of a terminal', async () => {
    const { folder } = projectWith('12-error-queue')
    const terminal = startInTerminal(['errors'], folder)

    expect(await terminal.ended).toBe(0)
    expect(terminal.screen).toMatch(/Next: nsb errors list --group ac70d1ff {6}nsb errors replay .* {6}nsb errors --interactive/)
  })
})

describe('errors --interactive without a terminal', () => {
  it('CLI-5 is refused, and says what to do instead', async () => {
    const { folder } = projectWith('12-error-queue')

    const { code, stderr } = await nsb(['errors', '--interactive'], { cwd: folder, input: 'open' })

    expect(code).toBe(2)
    expect(stderr).toContain('NSB_NEEDS_INPUT')
    expect(stderr).toContain('nsb errors replay --group')
  })

  it('is not for scripts', async () => {
    const { folder } = projectWith('12-error-queue')

    expect((await nsb(['errors', '--interactive', '--json'], { cwd: folder })).code).toBe(2)
  })

  it('leaves errors as it is', async () => {
    const { folder } = projectWith('12-error-queue')

    const { code, json, stderr } = await nsb(['errors', '--json'], { cwd: folder })
    const { stderr: hints } = await nsb(['errors'], { cwd: folder })

    assert.deepEqual([code, json()['schema'], stderr.includes('Next')], [0, 'nsb.errors.groups/1', false])
    expect(hints).not.toContain('--interactive')
  })
})
