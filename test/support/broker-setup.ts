import type { TestProject } from 'vitest/node'
import { brokerIsInstalled, startBroker } from './broker.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Ports of the broker that all tests of a run share. */
    readonly broker: { readonly port: number; readonly managementPort: number }
  }
}

/** One broker for the whole run; each test file has a virtual host of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!brokerIsInstalled()) throw new Error('These tests need a RabbitMQ of their own: apt-get install rabbitmq-server')
  const broker = await startBroker()
  project.provide('broker', { port: broker.port, managementPort: broker.managementPort })
  return () => broker.remove()
}
