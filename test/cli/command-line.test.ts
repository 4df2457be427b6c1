import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it, onTestFinished } from 'vitest'
import { failureHeaders, messagesIn, nsb, projectWith, putMessage, temporaryFolder } from './nsb.ts'

const run = fileURLToPath(new URL('../../bin/run.js', import.meta.url))
const codeOf = (document: Record<string, unknown>): string => (document['error'] as { code: string }).code

describe('nsb without a command', () => {
  it('says in one sentence what it is, and where to start', async () => {
    const ended = await nsb([], { cwd: temporaryFolder() })

    assert.equal(ended.code, 0)
    assert.match(ended.stdout, /^nsb develops and operates .*\n\n( {2}nsb .*\n){1,6}/)
    assert.match(ended.stdout, /All commands: nsb --help/)
  })

  it('lists all commands on one screen with --help and help', async () => {
    const cwd = temporaryFolder()
    const [flag, word] = await Promise.all([nsb(['--help'], { cwd }), nsb(['help'], { cwd })])

    assert.deepEqual([flag.code, word.code], [0, 0])
    assert.equal(word.stdout, flag.stdout)
    assert.match(flag.stdout, /nsb errors replay +send failed messages back/)
    assert.ok(flag.stdout.split('\n').length <= 40)
  })

  it('shows flags in groups, examples and exit codes of one command', async () => {
    const ended = await nsb(['help', 'errors', 'replay'], { cwd: temporaryFolder() })

    for (const part of ['SELECT FLAGS', 'ACT FLAGS', 'SAFETY FLAGS', 'CONNECTION FLAGS', 'EXAMPLES', 'Exit codes: 0 all done'])
      assert.ok(ended.stdout.includes(part), part)
  })
})

describe('what does not exist', () => {
  it.each([
    [['erors'], 'NSB_UNKNOWN_COMMAND', 'nsb errors'],
    [['errors', 'lst'], 'NSB_UNKNOWN_COMMAND', 'nsb errors list'],
    [['errors', 'list', '--limt', '1'], 'NSB_UNKNOWN_FLAG', 'Did you mean --limit?'],
    [['errors', 'list', '--queue', 'error'], 'NSB_UNKNOWN_FLAG', 'Did you mean --error-queue?'],
    [['errors', 'replay', '--queue=error'], 'NSB_UNKNOWN_FLAG', 'Did you mean --error-queue?'],
    [['errors', 'list', '-Q'], 'NSB_UNKNOWN_FLAG', 'Did you mean -q?'],
    [['errors', 'list', '-z'], 'NSB_UNKNOWN_FLAG', '--help lists the flags'],
    [['errors', 'list', '--output', 'xml'], 'NSB_BAD_FLAG', '--help shows the usage'],
    [['errors', 'show'], 'NSB_BAD_ARGUMENTS', '--help shows the usage'],
    [['errors', 'list', '--profile', 'pord'], 'NSB_UNKNOWN_PROFILE', "Did you mean 'prod'?"],
    [['config', 'lst'], 'NSB_UNKNOWN_COMMAND', 'nsb config list'],
    [['scaffold', 'endpint'], 'NSB_UNKNOWN_COMMAND', 'nsb scaffold endpoint'],
    [['send', 'PlaceOrder', '--eech'], 'NSB_UNKNOWN_FLAG', 'Did you mean --each?'],
    [['--json', 'errors'], 'NSB_UNKNOWN_COMMAND', 'nsb <command> --json'],
  ])('CLI-7 %j ends with 2 and %s, suggesting %s', async (words, code, suggestion) => {
    const { folder } = projectWith()
    writeFileSync(join(folder, 'nsb.json'), '{"profiles":{"prod":{}}}')

    const [human, json] = await Promise.all([nsb(words, { cwd: folder }), nsb([...words, '--json'], { cwd: folder })])

    assert.deepEqual([human.code, json.code], [2, 2])
    assert.ok(human.stderr.startsWith(`Error ${code}: `), human.stderr)
    assert.ok(human.stderr.includes(`Try: ${suggestion}`), human.stderr)
    assert.equal(codeOf(json.json()), code)
    if (words[0] !== '--json') assert.equal(human.stdout, '')
  })
})

describe('--json', () => {
  it.each<[string[], number]>([
    [['errors'], 0],
    [['errors', 'groups', '--by', 'type'], 0],
    [['errors', 'list'], 0],
    [['errors', 'list', '--kind', 'poison'], 0],
    [['errors', 'list', '--fail-if-any'], 8],
    [['errors', 'list', '--since', 'never'], 2],
    [['errors', 'show', 'acc3'], 0],
    [['errors', 'show', 'zzzz'], 4],
    [['errors', 'replay', '--all'], 6],
    [['errors', 'replay', '--all', '--dry-run'], 0],
    [['errors', 'replay', '--type', 'None', '--yes'], 4],
  ])('CLI-2 of %j is one JSON document on stdout, with exit code %d', async (words, code) => {
    const { folder } = projectWith('12-error-queue')

    const [flag, environment] = await Promise.all([
      nsb([...words, '--json'], { cwd: folder }),
      nsb(words, { cwd: folder, env: { NSB_CONTENT_TYPE: 'json' } }),
    ])

    assert.equal(flag.code, code, flag.stderr)
    assert.match(String(flag.json()['schema']), code === 0 || code === 8 ? /^nsb\.errors\./ : /^nsb\.error\/1$/)
    assert.equal(environment.json()['schema'], flag.json()['schema'])
  })

  it('CLI-2 behind -- is not the switch', async () => {
    const { folder } = projectWith('12-error-queue')

    const ended = await nsb(['errors', 'list', '--', '--json'], { cwd: folder })

    assert.equal(ended.code, 4)
    assert.equal(ended.stdout, '')
  })

  it('CLI-2 of a damaged nsb.json says where', async () => {
    const { folder } = projectWith()
    writeFileSync(join(folder, 'nsb.json'), '{\n  "endpoint": 7\n}')

    const ended = await nsb(['errors', 'list', '--json'], { cwd: folder })

    assert.equal(ended.code, 2)
    assert.deepEqual((ended.json()['error'] as { details: object }).details, { file: join(folder, 'nsb.json'), line: 2, column: 15 })
  })

  it('unknown keys of nsb.json are warnings', async () => {
    const { folder } = projectWith('12-error-queue')
    writeFileSync(join(folder, 'nsb.json'), '{ "rooting": {} }')

    const ended = await nsb(['errors', 'list', '--json'], { cwd: folder })

    assert.equal(ended.code, 0)
    assert.match(ended.stderr, /nsb\.json:1:3: unknown key 'rooting'\. Did you mean 'routing'\?/)
  })
})

describe('colours', () => {
  const commands = [
    ['errors'],
    ['errors', 'list'],
    ['errors', 'show', 'acc3'],
    ['errors', 'show', 'none'],
    ['errors', 'replay', '--all', '--dry-run'],
    [],
    ['--help'],
    ['nothing'],
  ]

  it.each([[{}], [{ NO_COLOR: '1' }], [{ NO_COLOR: '1', FORCE_COLOR: '1' }]])(
    'CLI-4 with %j in a pipe no byte of output is an escape',
    async (env) => {
      const { folder } = projectWith('12-error-queue')

      for (const words of commands) {
        const { stdout, stderr } = await nsb(words, { cwd: folder, env })
        assert.ok(!(stdout + stderr).includes('\u001b'), words.join(' '))
      }
    },
  )

  it('CLI-4 come back with FORCE_COLOR, and go with --no-color', async () => {
    const { folder } = projectWith('12-error-queue')
    const env = { FORCE_COLOR: '1' }

    const [listed, plain, failed] = await Promise.all([
      nsb(['errors', 'list'], { cwd: folder, env }),
      nsb(['errors', 'list', '--no-color'], { cwd: folder, env }),
      nsb(['errors', 'show', 'none'], { cwd: folder, env }),
    ])

    assert.ok(listed.stdout.includes('\u001b[2m'))
    assert.ok(!(plain.stdout + plain.stderr).includes('\u001b'))
    assert.ok(failed.stderr.includes('\u001b[31mError NSB_MESSAGE_NOT_FOUND:'))
  })
})

describe('without a terminal', () => {
  it.each([
    [['errors']],
    [['errors', 'list']],
    [['errors', 'groups']],
    [['errors', 'show', 'acc3']],
    [['errors', 'replay', '--all']],
    [['errors', 'replay', 'acc3', '--to', 'Shop.Server']],
    [['config', 'list']],
    [['scaffold', 'message', 'PlaceOrder', '--no-check']],
    [['scaffold', 'endpoint', 'Shop', '--no-check']],
  ])('CLI-5 %j does not wait for input, even when stdin never ends', async (words) => {
    const { folder } = projectWith('12-error-queue')

    const ended = await nsb(words, { cwd: folder, input: 'open' })

    assert.ok(ended.code === 0 || (ended.code === 6 && ended.stderr.includes('--yes')), `${ended.code}: ${ended.stderr}`)
  })
})

describe('streams and signals', () => {
  it('CLI-15 a reader that stops early ends a listing with 0 and without a word', async () => {
    const { folder, storage } = projectWith()
    for (let index = 0; index < 600; index++)
      putMessage(storage, 'error', `m${index}`, failureHeaders(`m${index}`, { 'NServiceBus.ExceptionInfo.Message': 'x'.repeat(500) }))
    const child = spawn(process.execPath, [run, 'errors', 'list', '--json', '--limit', '600'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    child.stdout.once('data', () => child.stdout.destroy())

    const code = await new Promise((resolve) => child.on('close', resolve))

    assert.deepEqual([code, stderr], [0, ''])
  })

  it.each([
    [['errors', 'list']],
    [['errors', 'groups']],
    [['errors', 'list', '-o', 'ndjson']],
    [['config', 'list']],
    [['config', 'path']],
    [['--help']],
    [['help', 'NSB_NO_ROUTE']],
    [['errors']],
    [['send', 'Shop.Any', '--data', 'A=1', '--to', 'Shop', '--no-validate', '--repeat', '3', '-o', 'ids', '--quiet']],
  ])('CLI-15 %j whose reader is gone already ends with 0 and without an error', async (words) => {
    const { folder } = projectWith('12-error-queue')
    const child = spawn(process.execPath, [run, ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))

    const code = await new Promise((resolve) => child.on('close', resolve))

    assert.equal(code, 0, stderr)
    assert.doesNotMatch(stderr, /Error|EPIPE/)
  })

  it.skipIf(!existsSync('/dev/full')).each([[['errors', 'list']], [['--help']], [['run', '--max-time', '20s']]])(
    'CLI-3 %j whose output goes to a full disk ends with 5 and one sentence',
    async (words) => {
      const { folder } = projectWith('12-error-queue')
      writeFileSync(
        join(folder, 'any.handler.mjs'),
        `import { command, handler } from 'nsbus'
export const any = handler(command('Shop.Any', { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }), () => undefined, { name: 'Any' })
`,
      )
      const full = openSync('/dev/full', 'w')
      const child = spawn(process.execPath, [run, ...words], { cwd: folder, stdio: ['ignore', full, 'pipe'] })
      let stderr = ''
      child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()))

      const code = await new Promise((resolve) => child.on('close', resolve))
      closeSync(full)

      assert.equal(code, 5, stderr)
      assert.match(stderr, /^Error NSB_CANNOT_ACCESS: The output cannot be written: ENOSPC[^\n]*\n {2}Try: /m)
      assert.doesNotMatch(stderr, /\n +at |exception/)
    },
  )

  it.skipIf(!existsSync('/dev/full'))('CLI-3 what was done is said on stderr where stdout is full', () => {
    const { folder } = projectWith('12-error-queue')
    const full = openSync('/dev/full', 'w')
    const ended = spawnSync(process.execPath, [run, 'errors', 'replay', '--all', '--yes'], { cwd: folder, stdio: ['ignore', full, 'pipe'] })
    closeSync(full)

    assert.equal(ended.status, 5)
    assert.match(ended.stderr.toString(), /^replayed 1, left in queue 0, operation [0-9A-Z]{26}\nError NSB_CANNOT_ACCESS: /m)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('CLI-3 %s while waiting ends with %d after cleaning up', async (signal, code) => {
    const { folder, storage } = projectWith('12-error-queue')
    const child = spawn(process.execPath, [run, 'errors', 'replay', '--all', '--yes', '--wait=10m'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    // Once: a second signal ends it at once, before it has cleaned up.
    const published = setInterval(() => {
      if (messagesIn(storage, 'Shop.Server').length !== 1) return
      clearInterval(published)
      child.kill(signal)
    }, 20)
    onTestFinished(() => clearInterval(published))

    assert.equal(await ended, code)
    assert.deepEqual(messagesIn(storage, 'error'), [])
  })

  it('-v names the storage folder and why', async () => {
    const { folder, storage } = projectWith()

    const found = await nsb(['errors', 'list', '-v'], { cwd: folder })
    const given = await nsb(['errors', 'list', '-v'], { cwd: temporaryFolder(), env: { NSB_STORAGE: storage } })

    assert.ok(found.stderr.includes(`storage ${storage} (found in ${folder})`), found.stderr)
    assert.ok(given.stderr.includes(`storage ${storage} (NSB_STORAGE)`), given.stderr)
  })

  it('a stack trace is shown with -vv alone', async () => {
    const { folder } = projectWith()

    assert.doesNotMatch((await nsb(['errors', 'show', 'none'], { cwd: folder })).stderr, /\n {2}\s+at /)
    assert.match((await nsb(['errors', 'show', 'none', '-vv'], { cwd: folder })).stderr, /\n {2}\s+at /)
  })
})

/** `script` gives a child a terminal; the answer is typed once the question is there. */
const hasScript = existsSync('/usr/bin/script') && spawnSync('/usr/bin/script', ['--version']).status === 0

describe.skipIf(!hasScript)('in a terminal (needs script)', () => {
  function inTerminal(words: readonly string[], cwd: string, answer: string): Promise<{ code: number | null; screen: string }> {
    const command = [process.execPath, run, ...words].map((word) => `'${word}'`).join(' ')
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CI|NO_COLOR|FORCE_COLOR|NSB_.*)$/.test(name)))
    const child = spawn('/usr/bin/script', ['-qec', command, '/dev/null'], { cwd, env: { ...env, TERM: 'xterm' } })
    let screen = ''
    let answered = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      if (answered || !screen.includes('?')) return
      if (!/Replay \d+ message/.test(screen)) return
      answered = true
      child.stdin.write(answer)
    })
    return new Promise((resolve) =>
      child.on('close', (code) => {
        child.stdin.destroy()
        resolve({ code, screen })
      }),
    )
  }

  it.each([
    ['y\r', 0, 0],
    ['\r', 6, 1],
    ['\u0003', 130, 1],
  ])('the answer %j to the confirmation ends with %d', async (answer, code, left) => {
    const { folder, storage } = projectWith('12-error-queue')

    const ended = await inTerminal(['errors', 'replay', '--all'], folder, answer)

    assert.equal(ended.code, code, ended.screen)
    assert.equal(messagesIn(storage, 'error').length, left)
  })

  it('--to wants the number typed', async () => {
    const { folder, storage } = projectWith('12-error-queue')

    const yes = await inTerminal(['errors', 'replay', '--all', '--to', 'Shop.Server'], folder, 'y\r')
    const number = await inTerminal(['errors', 'replay', '--all', '--to', 'Shop.Server'], folder, '1\r')

    assert.deepEqual([yes.code, number.code], [6, 0])
    assert.equal(messagesIn(storage, 'Shop.Server').length, 1)
  })

  it('ids are short and times relative', async () => {
    const { folder } = projectWith('12-error-queue')

    const { screen } = await inTerminal(['errors', 'list', '--no-color'], folder, '')

    assert.match(screen, /acc35ddb {2}\S+ \S+ ago {2}FailingOrder/)
  })
})

describe('starting', () => {
  it('CLI-20 --version loads nothing, and a listing of a folder neither chalk, prompts, zod, esbuild nor amqplib', async () => {
    const { folder } = projectWith('12-error-queue')
    const loaded = (words: readonly string[]): string[] => {
      const log = join(folder, `loaded-${words.length}.txt`)
      const hook = join(folder, 'hook.mjs')
      writeFileSync(
        hook,
        `import { appendFileSync } from 'node:fs'
import module from 'node:module'
const source = "import { appendFileSync } from 'node:fs'; export async function load(url, context, next) { appendFileSync(" + JSON.stringify(${JSON.stringify(log)}) + ", url + '\\\\n'); return next(url, context) }"
module.register('data:text/javascript,' + encodeURIComponent(source))
const original = module._load
module._load = function (request, ...rest) { appendFileSync(${JSON.stringify(log)}, 'require:' + request + '\\n'); return original.call(this, request, ...rest) }
`,
      )
      const ended = spawnSync(process.execPath, ['--import', hook, run, ...words], { cwd: folder })
      assert.equal(ended.status, 0, ended.stderr.toString())
      return readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    }

    const version = loaded(['--version'])
    const listing = loaded(['errors', 'list', '--json'])

    assert.deepEqual(
      version.filter((line) => line.includes('/dist/') || line.includes('node_modules')),
      [],
    )
    assert.deepEqual(
      listing.filter((line) => /node_modules\/|require:(chalk|inquirer|cli-table3|zod|esbuild|amqplib)/.test(line)),
      [],
    )
  })
})
