// The built CLI: the copy of the project in the working directory when there is one, else this one.
import { readFileSync, statSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const words = process.argv.slice(2)
const root = new URL('..', import.meta.url)
const other = asksForHelp() || process.env.NSB_NO_HANDOVER ? undefined : projectCopy()
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
  module.enableCompileCache?.()
  const { main } = await import('../dist/src/cli/main.js')
  await main(words, root)
}

function asksForHelp() {
  const end = words.indexOf('--')
  const flags = end < 0 ? words : words.slice(0, end)
  return words.length === 0 || ['help', 'version', '--version'].includes(words[0]) || flags.includes('--help') || flags.includes('-h')
}

/** The bin/run.js of the nsbus that the working directory's code would import; undefined when that is this one, or none. */
function projectCopy() {
  const own = statSync(new URL('package.json', root))
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const copy = join(folder, 'node_modules', 'nsbus')
    const found = statSync(join(copy, 'package.json'), { throwIfNoEntry: false })
    if (found !== undefined) {
      const run = join(copy, 'bin', 'run.js')
      const isSame = found.ino === own.ino && found.dev === own.dev
      return isSame || statSync(run, { throwIfNoEntry: false }) === undefined ? undefined : run
    }
    if (folder === dirname(folder)) return undefined
  }
}
