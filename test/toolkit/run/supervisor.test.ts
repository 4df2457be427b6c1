import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Supervisor, type SupervisorTold } from '../../../src/toolkit/run/supervisor.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const deaf = `process.on('message', () => undefined)
process.send({ kind: 'ready', endpoint: 'Shop' })
setInterval(() => undefined, 1000)
`

it('CLI-13 the process of an endpoint that does not stop in time is ended, and that is told and no success', async () => {
  const folder = tempFolder()
  writeFileSync(join(folder, 'deaf.mjs'), deaf)
  const broken: Parameters<SupervisorTold['broken']>[] = []
  const nothing = (): void => undefined
  const supervisor = new Supervisor({
    start: () => ({ words: ['deaf.mjs'], folder, env: process.env }),
    waitsForChange: true,
    told: {
      settled: nothing,
      idle: nothing,
      paused: nothing,
      confirm: () => Promise.resolve(),
      reloading: nothing,
      broken: (...how) => broken.push(how),
    },
  })

  const exitCode = supervisor.run()
  supervisor.stop(0)

  expect(await exitCode).toBe(1)
  expect(broken).toEqual([[{ kind: 'died', how: 'it did not stop in time', exitCode: 1 }, false]])
})
