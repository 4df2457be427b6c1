// The built CLI: the copy of the project in the working directory when there is one, else this one.
import { lstatSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import module from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const words = process.argv.slice(2)
const root = new URL('..', import.meta.url)
const other = asksForHelp() || process.env.NSB_NO_HANDOVER ? undefined : await trustedCopy()
if (words.length === 1 && (words[0] === '--version' || words[0] === 'version')) {
  // Answered before anything is loaded: it is what scripts and prompts ask most often.
  const { name, version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`)
} else if (other !== undefined) {
  // Two copies of the library would be two sets of classes: a handler's `import 'nsbus'` must mean the one that runs it.
  if (words.includes('-v') || words.includes('-vv') || words.includes('--verbose')) console.error(`handing over to ${other}`)
  process.argv[1] = other
  await import(pathToFileURL(other).href)
} else {
  keepCompiled()
  const { main } = await import('../dist/src/cli/main.js')
  await main(words, root)
}

function asksForHelp() {
  const end = words.indexOf('--')
  const flags = end < 0 ? words : words.slice(0, end)
  return words.length === 0 || ['help', 'version', '--version'].includes(words[0]) || flags.includes('--help') || flags.includes('-h')
}

/** The bin/run.js of the nsbus that the working directory's code would import; undefined when that is this one, none, or a stranger's. */
async function trustedCopy() {
  const folder = folderOfCopy()
  if (folder === undefined) return undefined
  const { whyNoHandOver } = await import('../dist/src/toolkit/trust/hand-over.js')
  const refusal = whyNoHandOver(folder, process.env)
  if (refusal === undefined) return join(folder, 'node_modules', 'nsbus', 'bin', 'run.js')
  console.error(`! ${refusal}`)
  return undefined
}

/** The folder whose packages have it. */
function folderOfCopy() {
  const own = statSync(new URL('package.json', root))
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const copy = join(folder, 'node_modules', 'nsbus')
    const found = statSync(join(copy, 'package.json'), { throwIfNoEntry: false })
    if (found !== undefined) {
      const isSame = found.ino === own.ino && found.dev === own.dev
      return isSame || statSync(join(copy, 'bin', 'run.js'), { throwIfNoEntry: false }) === undefined ? undefined : folder
    }
    if (folder === dirname(folder)) return undefined
  }
}

/** Node keeps what it compiled in the temporary folder of all users, where anybody may have put something: ours is in a folder of this user. */
function keepCompiled() {
  if (module.enableCompileCache === undefined) return
  const user = process.geteuid?.()
  // On Windows the temporary folder is the user's own.
  if (user === undefined || process.env.NODE_COMPILE_CACHE) return void module.enableCompileCache()
  const folder = join(tmpdir(), `nsbus-${user}`)
  try {
    let found = lstatSync(folder, { throwIfNoEntry: false })
    if (found === undefined) {
      mkdirSync(folder, { mode: 0o700 })
      found = lstatSync(folder)
    }
    if (found.isDirectory() && found.uid === user && (found.mode & 0o022) === 0) module.enableCompileCache(join(folder, 'compiled'))
  } catch {
    // Then it is compiled every time.
  }
}
