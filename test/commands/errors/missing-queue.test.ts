import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Ended, failureHeaders, nsb, projectWith, putMessage, temporaryFolder } from '../../cli/nsb.ts'
import { startRun } from '../../support/running-nsb.ts'
import { shop } from '../../support/shop-project.ts'

const told = ({ code, json }: Ended): unknown => [code, (json()['error'] as { readonly code: string }).code]

/** Everything that reads the error queue. */
const readers: readonly (readonly string[])[] = [
  [],
  ['groups'],
  ['list'],
  ['list', '--fail-if-any'],
  ['list', '--count'],
  ['show', 'abcd'],
  ['edit', 'abcd', '--merge', '{}'],
  ['replay', '--all', '--yes'],
  ['replay', '--all', '--dry-run'],
  ['archive', '--all', '--yes'],
  ['export'],
]

describe('an error queue that is missing', () => {
  it.each(readers.map((words) => [words.join(' '), words] as const))('is not taken for an empty one by errors %s', async (_, words) => {
    const { folder } = projectWith()

    expect(told(await nsb(['errors', ...words, '--json'], { cwd: folder }))).toEqual([4, 'NSB_QUEUE_NOT_FOUND'])
  })

  it('is not taken for an empty one where its name was given', async () => {
    const { folder } = projectWith()

    expect(told(await nsb(['errors', 'list', '--fail-if-any', '--json', '--error-queue', 'billing.error'], { cwd: folder }))).toEqual([
      4,
      'NSB_QUEUE_NOT_FOUND',
    ])
  })

  it('is told with the folder that was looked into, and with those in it that look like error queues', async () => {
    const folder = temporaryFolder()
    const storage = join(folder, '.learningtransport')
    for (const queue of ['Billing.Errors', 'Sales', 'orders_skipped']) putMessage(storage, queue, 'm1', failureHeaders('m1'))

    const ended = await nsb(['errors'], { cwd: folder })

    expect(ended.code).toBe(4)
    expect(ended.stderr).toContain(`There is no queue 'error' in '${storage}'`)
    expect(ended.stderr).toContain(`'Billing.Errors', 'orders_skipped'; name one: --error-queue <name>`)
    expect(ended.stderr).not.toMatch(/empty|'Sales'/)
  })

  it('is made by init and by run, so that it is known to be empty before anything has failed', async () => {
    const parent = temporaryFolder()
    await nsb(['init', 'shop', '--yes'], { cwd: parent })
    const running = shop()
    expect(existsSync(join(running, '.learningtransport/error'))).toBe(false)
    const run = await startRun(running)

    const [made, ran] = await Promise.all([join(parent, 'shop'), running].map((cwd) => nsb(['errors'], { cwd })))

    expect([made?.code, made?.stderr]).toEqual([0, expect.stringContaining('the error queue is empty')])
    expect([ran?.code, ran?.stderr]).toEqual([0, expect.stringContaining('the error queue is empty')])
    run.kill('SIGTERM')
    await run.ended
  })
})
