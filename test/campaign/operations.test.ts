import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { projectWith } from '../cli/nsb.ts'
import type { FoundMessage } from './messages.ts'
import { killOperations, operationKills, operationSeed } from './operations.ts'

it(`E-24 in folders each of ${operationKills} writing commands that are killed at some moment and resumed loses nothing`, {
  timeout: 3_600_000,
}, async () => {
  console.log(`seed ${operationSeed}`)
  const { folder, storage } = projectWith()
  const state = join(folder, 'state')
  mkdirSync(join(storage, 'Sales'))
  const taken = (queue: string): readonly FoundMessage[] =>
    entries(join(storage, queue)).flatMap((file) => {
      if (!file.endsWith('.metadata.txt')) return []
      const [metadata, body] = [join(storage, queue, file), join(storage, queue, '.bodies', file.replace('.metadata.', '.body.'))]
      const found = {
        headers: JSON.parse(readFileSync(metadata, 'utf8')) as FoundMessage['headers'],
        body: readFileSync(body),
        properties: {},
      }
      rmSync(metadata)
      rmSync(body)
      return [found]
    })

  const account = await killOperations(
    {
      folder,
      state,
      env: { CI: '1' },
      largeBytes: 60_000,
      mergesCopies: false,
      async fill(messages) {
        mkdirSync(join(storage, 'error', '.bodies'), { recursive: true })
        for (const { body, headers } of messages) {
          const name = randomUUID()
          writeFileSync(join(storage, 'error', '.bodies', `${name}.body.txt`), body)
          writeFileSync(join(storage, 'error', `${name}.metadata.txt`), JSON.stringify(headers))
        }
      },
      drain: () => Promise.resolve({ error: taken('error'), target: taken('Sales') }),
      isAsItWas: (found, { body, headers }) => found.body.equals(body) && sorted(found.headers) === sorted(headers),
      isTyped: () => true,
      async leftovers() {
        const places = entries(storage).filter((name) => !name.startsWith('.'))
        const left = [
          ...places.filter((name) => name.startsWith('nsb.staging.')),
          ...places.flatMap((queue) =>
            ['.pending', '.committed', '.bodies'].flatMap((below) =>
              entries(join(storage, queue, below)).map((name) => join(queue, below, name)),
            ),
          ),
        ]
        for (const name of left) rmSync(join(storage, name), { recursive: true })
        return left
      },
    },
    operationKills,
    operationSeed,
  )

  console.log(JSON.stringify(account))
  expect(account.wrong).toEqual([])
  // A folder knows what it has sent; an import alone is not part of one of its transactions.
  expect(Object.keys(account.twice).filter((name) => /^(replay|edit)/.test(name))).toEqual([])
  expect(account.kills).toBe(operationKills)
})

const entries = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : [])
const sorted = (headers: FoundMessage['headers']): string => JSON.stringify(Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)))
