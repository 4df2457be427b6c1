// The five-minute story of the README, taken from its text: every command is printed and really executed, in a temporary folder.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const story = storyOf(readFileSync(join(root, 'README.md'), 'utf8'))
const place = mkdtempSync(join(tmpdir(), 'nsb-demo-'))
const handler = (folder) => join(folder, 'src/handlers/place-order.handler.ts')
const deadlineMs = 60_000

let folder = place
let endpoint
let failedId = ''

try {
  for (const step of story) await perform(step)
  console.log('\nDone: the replayed message was handled.')
} catch (error) {
  console.error(`\nThe story broke: ${error.message}`)
  process.exitCode = 1
} finally {
  await stopEndpoint()
  rmSync(place, { recursive: true, force: true })
}

/** The lines of the first `console` block below the story's heading; a comment tells what a person does in between. */
function storyOf(readme) {
  const block = /## The five-minute story[\s\S]*?```console\n([\s\S]*?)```/.exec(readme)?.[1]
  if (!block) throw new Error('README.md has no story')
  return block.split('\n').filter((line) => line !== '')
}

async function perform(line) {
  if (line.startsWith('#')) {
    console.log(`\n${line}`)
    return edit(line)
  }
  const command = line
    .replace(/^\$ /, '')
    .replace(/\s+#.*$/, '')
    .replaceAll('<id>', failedId)
  console.log(`\n$ ${command}`)
  for (const part of command.split(' && ')) await execute(part.trim().split(/\s+/))
}

async function execute([program, ...words]) {
  if (program === 'cd') folder = join(folder, words[0])
  else if (words[0] === 'run') await startEndpoint(words)
  else {
    await nsb(words)
    if (words[0] === 'send' && !words.includes('--await-reply')) await seen('replay after the fix')
    if (words[0] === 'errors' && words.length === 1) failedId = (await nsb(['errors', 'list', '-o', 'ids'], { quiet: true })).trim()
    if (words[1] === 'replay') await seen(' ms')
  }
}

/** What the comments of the story ask a person to do. */
async function edit(comment) {
  endpoint.text = ''
  const text = readFileSync(handler(folder), 'utf8')
  if (comment.includes('make the handler fail'))
    writeFileSync(handler(folder), text.replace(/(\n\s+)(await context\.reply)/, "$1throw new Error('no stock')$1$2"))
  else if (comment.includes('take the throw out')) writeFileSync(handler(folder), text.replace(/\n\s+throw new Error\('no stock'\)/, ''))
  else return
  // Saved: terminal 1 loads it.
  await seen('ready in')
}

async function startEndpoint(words) {
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  endpoint = { child, text: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    endpoint.text += text
    process.stdout.write(text)
  })
  await seen('ready in')
  endpoint.text = ''
}

async function stopEndpoint() {
  if (!endpoint) return
  const { child } = endpoint
  endpoint = undefined
  child.stdout.unpipe()
  child.kill('SIGINT')
  await new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve()))
}

/** Waits until the endpoint has printed something. */
async function seen(what) {
  const end = Date.now() + deadlineMs
  while (!endpoint.text.includes(what)) {
    if (Date.now() > end) throw new Error(`'${what}' never appeared in the output of nsb run`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  endpoint.text = ''
}

function nsb(words, { quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...words, ...(needsYes(words) ? ['--yes'] : [])], {
      cwd: folder,
      stdio: ['ignore', 'pipe', quiet ? 'ignore' : 'inherit'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (more) => {
      text += more
      if (!quiet) process.stdout.write(more)
    })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`nsb ${words.join(' ')} ended with ${code}`))))
  })
}

/** A person answers the question of replay; nobody is there to be asked here. */
function needsYes(words) {
  return words[1] === 'replay'
}
