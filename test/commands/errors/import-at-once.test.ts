import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { savedLine } from '../../../src/message/saved-message.ts'
import { learningTransport } from '../../../src/transport/learning/transport.ts'
import { holdOptions } from '../../transport/learning/support.ts'
import { startNsb } from '../../support/running-nsb.ts'
import { failureHeaders, messagesIn, nsb, projectWith } from '../../cli/nsb.ts'

const count = 30

/** A file of failures beside a storage folder. */
function savedFailures(): { readonly folder: string; readonly storage: string; readonly env: Readonly<Record<string, string>> } {
  const { folder, storage } = projectWith()
  const ids = Array.from({ length: count }, (_, index) => `m${index}`)
  const message = (id: string) => ({
    nativeId: id,
    headers: failureHeaders(id),
    native: {},
    body: Buffer.from('{}'),
    unreadable: undefined,
  })
  const lines = ids.map((id) => savedLine(message(id), { queue: 'error', exportedAt: 0, operation: undefined }))
  writeFileSync(join(folder, 'saved.ndjson'), lines.map((line) => `${line}\n`).join(''))
  return { folder, storage, env: { NSB_STATE_DIR: join(folder, 'state'), CI: '1' } }
}

describe('two imports of one file at once', () => {
  it.each(['an error queue that is there', 'one that is not there yet'])(
    'into %s: every message is in it once, and the second says for whom it waits',
    async (queue) => {
      const { env, folder, storage } = savedFailures()
      if (queue === 'an error queue that is there') mkdirSync(join(storage, 'error'))
      const imports = [1, 2].map(() => startNsb(['errors', 'import', 'saved.ndjson', '--yes', '--json'], folder, env))

      const codes = await Promise.all(imports.map(({ ended }) => ended))

      expect(codes, imports.map(({ stderr }) => stderr).join()).toEqual([0, 0])
      const told = imports.map(({ stdout }) => JSON.parse(stdout) as { readonly imported: number; readonly skipped: number })
      expect(told.reduce((sum, { imported }) => sum + imported, 0)).toBe(count)
      expect(told.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(count)
      expect(messagesIn(storage, 'error')).toHaveLength(count)
    },
  )

  it('while somebody has the queue, wait for it, say so, and do not import twice', async () => {
    const { env, folder, storage } = savedFailures()
    mkdirSync(join(storage, 'error'))
    const transport = learningTransport({ storage })
    const holding = await transport.hold('error', holdOptions({ purpose: 'look', alone: true }))
    const imports = [1, 2].map(() => startNsb(['errors', 'import', 'saved.ndjson', '--yes'], folder, env))
    for (const each of imports)
      await expect
        .poll(() => each.stderr)
        .toMatch(new RegExp(`'error' is waited for, 30 s at most: another nsb, process ${process.pid} on`))

    await holding.giveBack()
    await transport.close()

    expect(await Promise.all(imports.map(({ ended }) => ended))).toEqual([0, 0])
    expect(messagesIn(storage, 'error')).toHaveLength(count)
  })

  it('the second is refused after --timeout, and goes on beside the first with --force', async () => {
    const { env, folder, storage } = savedFailures()
    mkdirSync(join(storage, 'error'))
    const transport = learningTransport({ storage })
    await transport.hold('error', holdOptions({ purpose: 'look', alone: true }))
    const words = ['errors', 'import', 'saved.ndjson', '--yes', '--json']

    const refused = await nsb([...words, '--timeout', '1s'], { cwd: folder, env })
    const forced = await nsb([...words, '--force'], { cwd: folder, env })
    await transport.close()

    expect(refused.code).toBe(6)
    expect(refused.json()).toMatchObject({ error: { code: 'NSB_QUEUE_LOCKED' } })
    expect(forced.code, forced.stderr).toBe(0)
    expect(messagesIn(storage, 'error')).toHaveLength(count)
  })

  it('a lock of a process that was killed holds nobody up', async () => {
    const { env, folder, storage } = savedFailures()
    mkdirSync(join(storage, 'error'))
    const words = ['errors', 'import', 'saved.ndjson', '--yes']
    const transport = learningTransport({ storage })
    const holding = await transport.hold('error', holdOptions({ purpose: 'look', alone: true }))
    const killed = startNsb([...words, '--timeout', '5m'], folder, env)
    await expect.poll(() => killed.stderr).toMatch(/is waited for/)
    await holding.giveBack()
    await transport.close()
    await expect.poll(() => messagesIn(storage, 'error').length).toBeGreaterThan(0)
    killed.kill('SIGKILL')
    await killed.ended

    const { code, stderr } = await nsb(words, { cwd: folder, env })

    expect(code, stderr).toBe(0)
    expect(stderr).not.toMatch(/waited for/)
    expect(messagesIn(storage, 'error')).toHaveLength(count)
  })
})
