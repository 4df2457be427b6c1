import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** What each room may import, besides itself. The rooms below come along: who may import the runtime may import messages. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  message: [],
  serialization: ['message'],
  seam: ['message'],
  'transport/memory': ['seam', 'message'],
  'transport/learning': ['seam', 'message'],
  'transport/rabbitmq': ['seam', 'message'],
  'transport/open': ['seam', 'message', 'transport/memory', 'transport/learning', 'transport/rabbitmq'],
  runtime: ['seam', 'serialization', 'message'],
  zod: ['serialization', 'message'],
  testing: ['runtime', 'seam', 'serialization', 'message', 'transport/memory'],
  toolkit: ['runtime', 'seam', 'serialization', 'message', 'transport/open'],
  cli: ['toolkit', 'runtime', 'seam', 'serialization', 'message'],
  commands: ['cli', 'toolkit', 'runtime', 'seam', 'serialization', 'message'],
  index: ['runtime', 'seam', 'serialization', 'message', 'transport/open'],
}

function roomOf(file: string): string {
  const path = relative(root, file)
  if (path.startsWith('commands/')) return 'commands'
  if (path === 'src/index.ts') return 'index'
  if (path === 'src/transport/open.ts') return 'transport/open'
  const [, room = '', below = ''] = path.split('/')
  if (room !== 'transport') return room
  return below.endsWith('.ts') ? 'seam' : `transport/${below}`
}

const sources = ['src', 'commands'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(root, folder, name)),
)

interface Edge {
  readonly from: string
  readonly to: string
}

const edges: readonly Edge[] = sources.flatMap((from) =>
  [...readFileSync(from, 'utf8').matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)'(\.{1,2}\/[^']+\.ts)'/gm)].map((match) => ({
    from,
    to: resolve(dirname(from), match[1] as string),
  })),
)

describe('imports', () => {
  it('go only where the architecture lets them', () => {
    const forbidden = edges
      .filter(({ from, to }) => roomOf(from) !== roomOf(to) && !allowed[roomOf(from)]?.includes(roomOf(to)))
      .map(({ from, to }) => `${relative(root, from)} (${roomOf(from)}) -> ${relative(root, to)} (${roomOf(to)})`)

    expect(forbidden).toEqual([])
  })

  it('are read from every room', () => {
    expect([...new Set(sources.map(roomOf))].sort()).toEqual(Object.keys(allowed).sort())
    expect(edges.length).toBeGreaterThan(100)
  })

  it('never lead from one pipeline step to another', () => {
    const pipeline = readFileSync(join(root, 'src/runtime/pipeline.ts'), 'utf8')
    const steps = new Set(
      [...pipeline.matchAll(/import \{[^}]*\} from '\.\/((?:incoming|outgoing)\/[^']+)'/g)].map((match) =>
        join(root, 'src/runtime', match[1] as string),
      ),
    )

    expect(steps.size).toBe(16)
    expect(
      edges
        .filter(({ from, to }) => steps.has(from) && steps.has(to))
        .map(({ from, to }) => `${relative(root, from)} -> ${relative(root, to)}`),
    ).toEqual([])
  })
})

it('no file of the library but the command line knows oclif, and none but its transport amqplib', () => {
  const knows = (name: string) =>
    sources.filter((file) => new RegExp(`['"]${name}`).test(readFileSync(file, 'utf8'))).map((file) => relative(root, file))

  expect(knows('@oclif/core').filter((file) => !file.startsWith('src/cli/') && !file.startsWith('commands/'))).toEqual([])
  expect(knows('amqplib').filter((file) => !file.startsWith('src/transport/rabbitmq/'))).toEqual([])
})

it('the public names are those that were approved', async () => {
  const names = {
    nsbus: Object.keys(await import('../src/index.ts')).sort(),
    'nsbus/testing': Object.keys(await import('../src/testing/index.ts')).sort(),
    'nsbus/zod': Object.keys(await import('../src/zod/index.ts')).sort(),
  }

  await expect(`${JSON.stringify(names, null, 2)}\n`).toMatchFileSnapshot('approved/public-names.json')
})

it('the order of the pipeline steps is the one that was approved', async () => {
  const { incomingSteps, outgoingSteps } = await import('../src/runtime/pipeline.ts')
  const names = { incoming: incomingSteps.map((step) => step.name), outgoing: outgoingSteps.map((step) => step.name) }

  await expect(`${JSON.stringify(names, null, 2)}\n`).toMatchFileSnapshot('approved/pipeline-steps.json')
})
