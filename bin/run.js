#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import module from 'node:module'

const [major, minor] = process.versions.node.split('.').map(Number)
const words = process.argv.slice(2)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`nsb needs Node 20.19 or newer; this is Node ${process.versions.node}.`)
  process.exitCode = 2
} else if (words.length === 1 && (words[0] === '--version' || words[0] === 'version')) {
  // Answered before anything is loaded: it is what scripts and prompts ask most often.
  const { name, version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  console.log(`${name}/${version} ${process.platform}-${process.arch} node-${process.version}`)
} else {
  module.enableCompileCache?.()
  const { main } = await import('../dist/src/cli/main.js')
  await main(process.argv.slice(2), new URL('..', import.meta.url))
}
