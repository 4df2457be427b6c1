import { defineConfig } from 'vitest/config'

/** Tests that need a broker; a run without them starts none. */
const brokerTests = 'test/**/rabbitmq/**/*.test.ts'

export default defineConfig({
  test: {
    disableConsoleIntercept: true,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: 'forks',
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
