import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { nsb } from '../cli/nsb.ts'
import { shop } from '../support/shop-project.ts'

const root = resolve(import.meta.dirname, '../..')
const hasScript = spawnSync('script', ['--version']).status === 0

/** Text as it was meant, without the colours and carriage returns of a terminal. */
// oxlint-disable-next-line no-control-regex -- escapes are what it removes
const plain = (text: string): string => text.replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', '')

const told = [
  /\$ nsb init shop --yes/,
  /create {2}src\/handlers\/place-order\.handler\.ts/,
  /Shop on learning \(.*\) {3}ready in \d+ ms/,
  /✓ reply Shop\.OrderAccepted from Shop after \d+ ms/,
  /\{"OrderId":"1"\}/,
  /✗ PlaceOrder +[0-9a-f]{8} +\d+ ms {3}failed, moved to error\n +Error: no stock\n +src\/handlers\/place-order\.handler\.ts:\d+:\d+/,
  /GROUP +COUNT/,
  /Node\.Error: no stock/,
  /1 succeeded|succeeded 1/,
  /Done: the replayed message was handled\./,
]

describe('the five-minute story of the README', () => {
  it('CLI-18 can be played from its text, up to the replayed message being handled', () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, ['scripts/demo.mjs'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 60_000,
      env: quiet(),
    })

    const text = plain(`${stdout}\n${stderr}`)
    expect(status, text).toBe(0)
    for (const line of told) expect(text).toMatch(line)
  })

  it.skipIf(!hasScript)('CLI-18 can be played in a terminal', () => {
    const { status, stdout } = spawnSync('script', ['-qec', `"${process.execPath}" scripts/demo.mjs`, '/dev/null'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...quiet(), TERM: 'xterm' },
    })

    const text = plain(stdout)
    expect(status, text).toBe(0)
    for (const line of told) expect(text).toMatch(line)
    expect(stdout).toContain('\u001b[')
  })
})

it('the README names only commands that exist', async () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as {
    commands: Record<string, { aliases: string[] }>
  }
  const known = ['help', ...Object.entries(manifest.commands).flatMap(([id, { aliases }]) => [id, ...aliases])]
  const notYet = /\*\*Not there yet:\*\*[^\n]*(?:\n {2}[^\n]*)*/.exec(readme)?.[0] ?? ''

  const named = [...readme.replace(notYet, '').matchAll(/`?nsb ([a-z]+(?: [a-z]+)?)/g)].map((match) => match[1] as string)
  const unknown = named.filter((words) => !known.includes(words.replace(' ', ':')) && !known.includes(words.split(' ', 1)[0] as string))

  expect(unknown.filter((words) => !/^(and|needs|endpoint|does|carry)/.test(words))).toEqual([])
  expect(named.length).toBeGreaterThan(10)
  expect((await nsb(['--version'], { cwd: shop() })).stdout).toMatch(/^nsbus\/\d+\.\d+\.\d+ /)
})

function quiet(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !/^(NSB_|CI$|NO_COLOR$|FORCE_COLOR$)/.test(entry[0]),
    ),
  )
}
