import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readNamedFile } from '../../src/cli/read-file.ts'
import { readIds } from '../../src/cli/read-ids.ts'
import { tempFolder } from '../support/temp-folder.ts'

it.skipIf(process.platform === 'win32')('nobody waits for somebody to write into a named pipe', async () => {
  const pipe = join(tempFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])

  const hint = expect.stringContaining(`cat '${pipe}' | nsb`) as string
  await expect(readNamedFile(pipe)).rejects.toMatchObject({ code: 'NSB_FILE_NOT_READABLE', message: hint })
  await expect(readIds(pipe)).rejects.toMatchObject({ code: 'NSB_BAD_INPUT', message: hint })
})
