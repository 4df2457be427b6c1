import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

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
    // Most of them wait for processes, so that two do not get in each other's way even on two cores, where the default is one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
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
