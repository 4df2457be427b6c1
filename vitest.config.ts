import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'

/** Tests that need a broker; a run without them starts none. */
const brokerTests = 'test/**/rabbitmq/**/*.test.ts'

export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    // Deadlines are there for what hangs, on a machine that does much else.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    pool: 'forks',
    // Most of them wait for a broker, for processes or for time, so that one more than there are cores does not get in the others' way.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['test/**/*.test.ts'],
          exclude: [brokerTests],
          typecheck: { enabled: true, include: ['test/**/*.test-d.ts'] },
        },
      },
      { extends: true, test: { name: 'broker', include: [brokerTests], globalSetup: ['test/support/broker-setup.ts'] } },
    ],
  },
})
