import { statSync } from 'node:fs'
import { relative } from 'node:path'
import type { TestSpecification } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'

/** What takes longest, the longest first: begun last, it would run alone in the end. Those with a broker and those without take turns. */
const longest = [
  'test/commands/rabbitmq/errors-paced-killed.test.ts',
  'test/acceptance/night.test.ts',
  'test/commands/send.test.ts',
  'test/commands/rabbitmq/errors.test.ts',
  'test/commands/run-watch.test.ts',
  'test/commands/rabbitmq/errors-paced.test.ts',
  'test/toolkit/rabbitmq/errors/adversity.test.ts',
  'test/commands/examples.test.ts',
  'test/transport/rabbitmq/faults.test.ts',
  'test/commands/errors/replay-paced.test.ts',
  'test/transport/rabbitmq/holding.test.ts',
  'test/commands/run.test.ts',
  'test/commands/rabbitmq/connection.test.ts',
  'test/commands/scaffold/endpoint.test.ts',
  'test/commands/rabbitmq/run.test.ts',
  'test/cli/command-line.test.ts',
  'test/commands/rabbitmq/send.test.ts',
  'test/commands/scaffold/handler.test.ts',
  'test/commands/rabbitmq/errors-archive.test.ts',
  'test/commands/errors/list.test.ts',
  'test/transport/rabbitmq/disk-alarm.test.ts',
  'test/acceptance/disk.test.ts',
  'test/campaign/rabbitmq/operations.test.ts',
  'test/commands/run-keys.test.ts',
]

/** The other files by their size, the largest first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = new Map(longest.map((file, index) => [file, index]))
    const placed = files.map((file) => ({
      file,
      place: place.get(relative(this.ctx.config.root, file.moduleId).replaceAll('\\', '/')) ?? longest.length,
      size: statSync(file.moduleId).size,
    }))
    return placed.toSorted((a, b) => a.place - b.place || b.size - a.size).map(({ file }) => file)
  }
}
