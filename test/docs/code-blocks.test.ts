import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { incomingSteps } from '../../src/runtime/pipeline.ts'
import { parseProjectFile } from '../../src/toolkit/project-file.ts'
import { problemsOf, commandLinesOf } from './command-lines.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

interface Block {
  readonly page: string
  readonly language: string
  readonly text: string
  /** The block right after it says what it prints. */
  readonly output: string | undefined
}

const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
]
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')
const blocks = pages.flatMap((page): readonly Block[] => {
  const found = [...textOf(page).matchAll(/^```(\w*)\n([^]*?)^```\n(?:\n```text\n([^]*?)^```$)?/gm)]
  return found.map(([, language = '', text = '', output]) => ({ page, language, text, output }))
})
const ofLanguage = (...languages: readonly string[]): readonly Block[] => blocks.filter(({ language }) => languages.includes(language))

/** What a project gets from its node_modules, from our sources. */
const entryPoints = {
  nsbus: join(root, 'src/index.ts'),
  'nsbus/testing': join(root, 'src/testing/index.ts'),
  'nsbus/transport': join(root, 'src/transport/transport.ts'),
  'nsbus/zod': join(root, 'src/zod/index.ts'),
}

/** Programs by page; the others import the first one of their page as `./shop.ts`. */
const programs = ofLanguage('ts').map((block, _, all) => {
  const index = all.filter(({ page }) => page === block.page).indexOf(block)
  const folder = block.page.replaceAll(/[/.]/g, '-')
  const title = `${block.page}, block ${index + 1}: ${/^(?:export )?(?:const|class) (\w+)/m.exec(block.text)?.[1] ?? ''}`
  return { ...block, title, folder, file: join(folder, index === 0 ? 'shop.ts' : `block-${index + 1}.ts`) }
})

describe('code blocks', () => {
  it('say what they are: TypeScript, a shell, JSON, or text that nobody runs', () => {
    const known = ['ts', 'sh', 'console', 'json', 'text']

    assert.ok(blocks.length > 20, 'the pages were not read')
    assert.deepEqual(
      blocks.filter(({ language }) => !known.includes(language)).map(({ page, text }) => `${page}: ${text.split('\n', 1)[0]}`),
      [],
    )
  })
})

describe('the TypeScript of the pages', () => {
  let folder = ''

  beforeAll(() => {
    // Below node_modules, so that zod and the types of Node are found.
    const cache = join(root, 'node_modules/.cache')
    mkdirSync(cache, { recursive: true })
    folder = mkdtempSync(join(cache, 'pages-'))
    for (const each of programs) {
      mkdirSync(join(folder, each.folder), { recursive: true })
      writeFileSync(join(folder, each.file), each.text)
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
    const settings = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        incremental: false,
        tsBuildInfoFile: null,
        paths: Object.fromEntries(Object.entries(entryPoints).map(([name, file]) => [name, [file]])),
      },
      files: programs.map(({ file }) => file),
      include: [],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('passes the compiler with our own strict settings', { timeout: 60_000 }, async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder]).catch((error: { stdout?: string }) => {
      assert.fail(error.stdout === undefined || error.stdout === '' ? String(error) : error.stdout)
    })

    assert.equal(stdout, '')
  })

  it.each(programs.filter(({ output }) => output !== undefined))('prints what the page says: $title', async ({ file, output }) => {
    assert.equal(await outputOf(file), output)
  })

  it('requests and gets its reply, in the block of README.md with the endpoint', async () => {
    // The event is handled before or after the reply, or not before the endpoint stops.
    assert.ok((await outputOf('README-md/block-2.ts')).split('\n').includes('7'))
  })

  it('succeeds, in the block of README.md with the test', async () => {
    assert.equal(await outputOf('README-md/block-3.ts'), '')
  })

  /** Runs a block as a process of its own. */
  async function outputOf(file: string): Promise<string> {
    const outfile = join(folder, file.replace('.ts', '.mjs'))
    await build({
      absWorkingDir: folder,
      entryPoints: [file],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      alias: entryPoints,
      external: ['zod'],
      logLevel: 'silent',
    })
    const { stdout } = await run(process.execPath, [outfile], { cwd: folder })
    return stdout
  }
})

describe('the command lines of the pages', () => {
  it.each(pages)('name commands, flags and scripts that exist: %s', (page) => {
    const shells = ofLanguage('sh', 'console').filter((block) => block.page === page)

    assert.deepEqual(problemsOf(shells.flatMap(({ text }) => commandLinesOf(text))), [])
  })

  it('are understood: what is wrong with one is found', () => {
    const wrong = ['nsb sned X', 'nsb send X --nothing', 'nsb run --log xml', 'nsb errors list -z', 'npm run nothing', 'nsb config get a b']

    assert.deepEqual(problemsOf(wrong).length, wrong.length, problemsOf(wrong).join('\n'))
  })
})

describe('the JSON of the pages', () => {
  it.each(ofLanguage('json'))('is an nsb.json without unknown keys: $page', ({ text }) => {
    assert.deepEqual(parseProjectFile(text, 'nsb.json').warnings, [])
  })
})

describe('the diagram of docs/lifecycle.md', () => {
  it('has every incoming step, in order', () => {
    const page = textOf('docs/lifecycle.md')
    const diagram = /```text\n([^]*?)```/.exec(page)?.[1] ?? ''
    const positions = incomingSteps.map(({ name }) => diagram.search(new RegExp(`[ |+-]${name} `)))

    assert.ok(!positions.includes(-1), incomingSteps.map(({ name }, index) => `${name}: ${positions[index]}`).join('\n'))
    assert.deepEqual(
      positions,
      positions.toSorted((a, b) => a - b),
    )
  })
})
