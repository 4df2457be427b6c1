import type { TestProject } from 'vitest/node'
import { startBroker } from './broker.ts'
import { pluginIsInstalled, whyNoBroker } from './rabbitmq-installation.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The broker that all tests of a run share. */
    readonly broker: { readonly version: string; readonly port: number; readonly managementPort: number }
  }
}

/** One broker for the whole run; each test file has a virtual host of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const reason = whyNoBroker()
  if (reason !== undefined) throw new Error(`These tests start brokers of their own, and ${reason}`)
  const begin = performance.now()
  // Newer brokers speak AMQP 1.0 without it.
  const broker = await startBroker({ plugins: ['rabbitmq_amqp1_0'].filter(pluginIsInstalled) })
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  console.log(
    `RabbitMQ ${broker.version}${process.env['NSB_TEST_RABBITMQ'] ? ` of ${process.env['NSB_TEST_RABBITMQ']}` : ''}, started in ${seconds} s`,
  )
  project.provide('broker', { version: broker.version, port: broker.port, managementPort: broker.managementPort })
  return () => broker.remove()
}
