// All benchmarks, one after the other; each prints ratios against its baseline of the same run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
/** @type {Record<string, string[]>} */
const benches = {
  'W7 folder transport': ['--import', 'tsx', here('w7-folder.ts')],
  'W8 process start': [here('w8-start.mjs')],
  'JSON codec': ['--import', 'tsx', here('json.ts')],
  Pipeline: ['--import', 'tsx', here('pipeline.ts')],
  'First message': [here('first-message.mjs')],
  'Large error folder': [here('error-folder.mjs')],
  ...(existsSync('/usr/lib/rabbitmq/bin/rabbitmq-server')
    ? {
        'RabbitMQ, W1 W2 W3 W6': ['--import', 'tsx', here('rabbitmq.ts')],
        'RabbitMQ, the error queue, W4 W5': ['--import', 'tsx', here('rabbitmq-errors.ts')],
      }
    : {}),
}

console.log(`node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown processor'}`)
for (const [title, words] of Object.entries(benches)) {
  console.log(`\n# ${title}`)
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
