import { afterAll } from 'vitest'
import { type EndpointDefinition, type StartOptions, startEndpoint } from '../../../src/index.ts'
import { silentLogger } from '../../../src/runtime/logger.ts'
import { type RabbitOptions, rabbitTransport } from '../../../src/transport/rabbitmq/transport.ts'
import type { Transport } from '../../../src/transport/transport.ts'
import { type VirtualHost, makeVirtualHost } from '../../support/virtual-host.ts'
import { type Wire, openWire } from './wire.ts'

/** A virtual host with endpoints of ours on it, and a plain client beside them. */
export interface System {
  readonly host: VirtualHost
  readonly wire: Wire
  readonly warnings: string[]
  transport(endpoint: string, options?: Partial<RabbitOptions>): Transport
  start(definition: EndpointDefinition, options?: Partial<RabbitOptions> & Partial<StartOptions>): ReturnType<typeof startEndpoint>
}

/** Starts one for the file; everything ends with it. */
export async function system(): Promise<System> {
  const host = await makeVirtualHost()
  const wire = await openWire(host.url)
  const transports: Transport[] = []
  const warnings: string[] = []
  const transport = (endpoint: string, options: Partial<RabbitOptions> = {}): Transport => {
    const made = rabbitTransport({
      settings: host.settings,
      management: host.management,
      endpoint,
      warn: (warning) => void warnings.push(warning),
      ...options,
    })
    transports.push(made)
    return made
  }
  afterAll(async () => {
    await Promise.all(transports.map((each) => each.close()))
    await wire.close().catch(() => undefined)
    await host.remove()
  })
  return {
    host,
    wire,
    warnings,
    transport,
    start: (definition, { logger, observe, onPoison, ...options } = {}) =>
      startEndpoint(definition, {
        transport: transport(definition.name, options),
        logger: logger ?? silentLogger,
        ...(observe && { observe }),
        ...(onPoison && { onPoison }),
      }),
  }
}
