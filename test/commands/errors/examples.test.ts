import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'
import { projectWith } from '../../cli/nsb.ts'
import { archivesIn } from '../../support/archives.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as {
  commands: Record<string, { summary?: string; description?: string; examples?: (string | { command: string })[] }>
}
const commands = Object.entries(manifest.commands).filter(([id]) => id === 'errors' || id.startsWith('errors:'))
// watch.test.ts runs those that do not end by themselves.
const examples = commands.flatMap(([id, command]) =>
  (id === 'errors:watch' ? [] : (command.examples ?? [])).map((example) => (typeof example === 'string' ? example : example.command)),
)

/** The journal of the only operation as a process that was killed at its end would have left it, under another id. */
function leaveOpen(journals: string, operation: string): void {
  const [name = ''] = readdirSync(journals)
  const lines = readFileSync(join(journals, name), 'utf8').replaceAll(name.slice(0, 26), operation).split('\n')
  rmSync(join(journals, name))
  writeFileSync(join(journals, `${operation}.ndjson`), lines.filter((line) => !line.startsWith('{"end"')).join('\n'))
}

describe('the help of the errors commands', () => {
  it.each(commands)('CLI-1 of %s has a summary, at least three examples and its exit codes', (_, command) => {
    assert.ok(command.summary)
    assert.ok((command.examples?.length ?? 0) >= 3)
    assert.match(command.description ?? '', /Exit codes: 0 /)
  })

  it.each(examples.map((example) => example.replaceAll('<%= config.bin %>', 'nsb')))('CLI-1 %s works when pasted', (example) => {
    const { folder } = projectWith('12-error-queue')
    mkdirSync(join(folder, 'bin'))
    writeFileSync(join(folder, 'bin', 'nsb'), `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'bin', 'run.js')}' "$@"\n`, {
      mode: 0o755,
    })

    const oldArchive = join(folder, 'state/archive/default/error/2020-01-01.ndjson')
    mkdirSync(dirname(oldArchive), { recursive: true })
    writeFileSync(oldArchive, '')
    utimesSync(oldArchive, 0, 0)

    const paste = (line: string): SpawnSyncReturns<Buffer> =>
      spawnSync('/bin/sh', ['-c', line], {
        cwd: folder,
        env: {
          ...process.env,
          NSB_STATE_DIR: join(folder, 'state'),
          PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    if (example.includes('errors resume')) {
      assert.equal(paste('nsb errors replay --all --yes').status, 0)
      leaveOpen(join(folder, 'state/operations'), '01K9Z3K9Z3K9Z3K9Z3K9Z3K9Z3')
    }
    const [, archived] = /errors import --operation (\w+)/.exec(example) ?? []
    if (archived !== undefined) {
      const { operation } = JSON.parse(String(paste('nsb errors archive --all --yes --json').stdout)) as { readonly operation: string }
      for (const archive of archivesIn(join(folder, 'state')).map((each) => join(each, 'error')))
        for (const name of readdirSync(archive))
          writeFileSync(join(archive, name), readFileSync(join(archive, name), 'utf8').replaceAll(operation, archived))
    }

    const { status, stderr } = paste(example)

    // Without a terminal a replay, a resume and a prune are refused until --yes is added, and so are a dialogue and an editor; --fail-if-any says no.
    assert.ok(
      status === 0 ||
        (status === 2 && (example.includes('--interactive') || stderr.includes('NSB_NEEDS_INPUT'))) ||
        (status === 6 && /replay|prune|resume/.test(example)) ||
        (status === 8 && example.includes('--fail-if-any')),
      `${status}: ${stderr.toString()}`,
    )
  })
})
