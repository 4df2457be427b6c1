#!/usr/bin/env node
// The command line from its sources, without a build. oclif's own development mode needs TypeScript's old interface and would
// silently run a stale dist, so tsx is registered here and the commands folder is named directly.
import { register } from 'tsx/esm/api'

register()
const { main } = await import('../src/cli/main.ts')
await main(process.argv.slice(2), new URL('..', import.meta.url), './commands')
