import { statSync } from 'node:fs'
import { relative } from 'node:path'
import type { TestSpecification } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'

/** What takes 20 s or more on two cores, the longest first: begun last, it would run alone in the end. */
const longest = [
  'test/acceptance/night.test.ts',
  'test/commands/rabbitmq/errors.test.ts',
  'test/commands/rabbitmq/errors-paced.test.ts',
  'test/commands/send.test.ts',
  'test/commands/run-watch.test.ts',
  'test/commands/rabbitmq/connection.test.ts',
  'test/commands/examples.test.ts',
  'test/commands/run.test.ts',
  'test/commands/rabbitmq/queues.test.ts',
  'test/commands/rabbitmq/errors-edit.test.ts',
  'test/commands/rabbitmq/errors-paced-killed.test.ts',
  'test/commands/scaffold/endpoint.test.ts',
  'test/commands/rabbitmq/run.test.ts',
  'test/commands/rabbitmq/send.test.ts',
  'test/cli/command-line.test.ts',
  'test/commands/rabbitmq/errors-archive.test.ts',
  'test/contract/rabbitmq/conventional.test.ts',
  'test/toolkit/rabbitmq/errors/adversity.test.ts',
  'test/transport/rabbitmq/faults.test.ts',
  'test/transport/rabbitmq/holding.test.ts',
  'test/contract/rabbitmq/classic.test.ts',
  'test/contract/rabbitmq/direct.test.ts',
  'test/commands/errors/resume.test.ts',
  'test/toolkit/rabbitmq/errors/kill.test.ts',
  'test/commands/errors/replay-paced.test.ts',
  'test/commands/connection.test.ts',
  'test/commands/scaffold/handler.test.ts',
  'test/commands/rabbitmq/errors-deep-headers.test.ts',
  'test/commands/run-several.test.ts',
  'test/commands/errors/examples.test.ts',
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
