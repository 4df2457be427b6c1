/** For tests of handlers and endpoints; no test runner is needed or assumed. */
export { testContext, type TestContext, type TestContextOptions } from './test-context.ts'
export { testSession, type TestSession } from './test-session.ts'
export {
  type DispatchedMessage,
  type Outcome,
  type TestEndpoint,
  type TestWorld,
  type WorldOptions,
  testEndpoint,
  testWorld,
} from './test-world.ts'
export { VirtualClock } from './virtual-clock.ts'
export { Recorded, type RecordedOperation } from './recorded.ts'
export * from './transport-contract/index.ts'
