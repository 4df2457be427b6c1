import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeTempFolder } from '../support/temp-folder.ts'

const root = resolve(import.meta.dirname, '../..')
const temporary = makeTempFolder()
const modules = join(temporary.path, 'node_modules')
const installed = join(modules, 'nsbus')

/** The tarball, unpacked next to its dependencies: what an installation leaves, without asking a registry. */
beforeAll(() => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  // The scripts of packing would build again, under the feet of other tests.
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', temporary.path], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  ) as [{ filename: string }]
  mkdirSync(modules)
  execFileSync('tar', ['-xzf', join(temporary.path, packed.filename), '-C', modules])
  renameSync(join(modules, 'package'), installed)
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  return () => temporary.remove()
})

const run = (code: string, type: 'module' | 'commonjs') => {
  const file = join(temporary.path, `try.${type === 'module' ? 'mjs' : 'cjs'}`)
  writeFileSync(file, code)
  return spawnSync(process.execPath, [file], { cwd: temporary.path, encoding: 'utf8' })
}

describe('the packed package, in another folder', () => {
  it('is imported by modules and required by CommonJS, as one library', () => {
    const module = run(
      `import { command } from 'nsbus'; import { testContext } from 'nsbus/testing'; import { decimal } from 'nsbus/zod'; console.log(typeof command, typeof testContext, typeof decimal)`,
      'module',
    )
    const commonjs = run(
      `const { command } = require('nsbus'); const { testContext } = require('nsbus/testing'); console.log(typeof command, typeof testContext)`,
      'commonjs',
    )

    expect([module.stdout, module.stderr]).toEqual(['function function function\n', ''])
    expect([commonjs.stdout, commonjs.stderr]).toEqual(['function function\n', ''])
  })

  it('runs as a command, and its scaffolded code uses the same library', () => {
    const nsb = (...words: string[]) =>
      spawnSync(process.execPath, [join(installed, 'bin/run.js'), ...words], {
        cwd: existsSync(join(temporary.path, 'shop')) ? join(temporary.path, 'shop') : temporary.path,
        encoding: 'utf8',
      })

    expect(nsb('init', 'shop', '--yes').status).toBe(0)
    expect(nsb('scaffold', 'handler', 'PlaceOrder', '--replies', 'OrderAccepted', '--no-check').status).toBe(0)
    expect(nsb('send', 'PlaceOrder', '--data', 'OrderId=1').status).toBe(0)
    const { status, stderr, stdout } = nsb('run', '--until-idle', '200ms', '--log', 'json')

    expect(status, stderr).toBe(0)
    expect(stdout).toContain('"type":"Shop.OrderAccepted"')
  })

  it('has the licence, the changelog, the documentation and the schema in it', () => {
    for (const file of [
      'LICENSE',
      'CHANGELOG.md',
      'README.md',
      'nsb.schema.json',
      'oclif.manifest.json',
      'templates',
      'docs',
      'dist/src/index.d.ts',
    ])
      expect(existsSync(join(installed, file)), file).toBe(true)
    for (const file of ['src', 'test', 'scripts', '.ci']) expect(existsSync(join(installed, file)), file).toBe(false)
  })
})
