import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, it } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

const readme = readFileSync(join(root, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^```ts\n([^]*?)^```$/gm)].map((match) => match[1] as string)
/** The others import the first one by this name. */
const fileOf = (index: number): string => (index === 0 ? 'shop.ts' : `block-${index + 1}.ts`)

/** What a project gets from its node_modules, from our sources. */
const entryPoints = {
  nsbus: join(root, 'src/index.ts'),
  'nsbus/testing': join(root, 'src/testing/index.ts'),
  'nsbus/zod': join(root, 'src/zod/index.ts'),
}

describe('the TypeScript of README.md', () => {
  let folder = ''

  beforeAll(() => {
    // Below node_modules, so that zod and the types of Node are found.
    const cache = join(root, 'node_modules/.cache')
    mkdirSync(cache, { recursive: true })
    folder = mkdtempSync(join(cache, 'readme-'))
    blocks.forEach((block, index) => writeFileSync(join(folder, fileOf(index)), block))
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
    const settings = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: { incremental: false, tsBuildInfoFile: null, paths: Object.fromEntries(pathMappings()) },
      files: blocks.map((_, index) => fileOf(index)),
      include: [],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is there: a declaration, an endpoint and a test', () => {
    assert.equal(blocks.length, 3)
  })

  it('passes the compiler with our own strict settings', async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', folder]).catch((error: { stdout?: string }) => {
      assert.fail(error.stdout === undefined || error.stdout === '' ? String(error) : error.stdout)
    })

    assert.equal(stdout, '')
  })

  it('requests and gets its reply, in the block with the endpoint', async () => {
    // The event is handled before or after the reply, or not before the endpoint stops.
    assert.ok((await output(1)).split('\n').includes('7'))
  })

  it('succeeds, in the block with the test', async () => {
    assert.equal(await output(2), '')
  })

  /** Runs a block as a process of its own, in the folder of the blocks. */
  async function output(index: number): Promise<string> {
    const file = join(folder, fileOf(index).replace('.ts', '.mjs'))
    await build({
      absWorkingDir: folder,
      entryPoints: [fileOf(index)],
      outfile: file,
      bundle: true,
      format: 'esm',
      platform: 'node',
      alias: entryPoints,
      external: ['zod'],
      logLevel: 'silent',
    })
    const { stdout } = await run(process.execPath, [file], { cwd: folder })
    return stdout
  }
})

function pathMappings(): readonly (readonly [string, readonly string[]])[] {
  return Object.entries(entryPoints).map(([name, file]) => [name, [file]])
}
