import { randomBytes } from 'node:crypto'
import { type Broker, freePorts, startBroker } from './broker.ts'

/** Nodes of one machine, on ports of their own. */
export interface Cluster {
  readonly nodes: readonly [Broker, ...Broker[]]
  readonly hosts: readonly [{ readonly host: string; readonly port: number }, ...{ readonly host: string; readonly port: number }[]]
  /** The node that leads a quorum queue; undefined: none does now. */
  leaderOf(queue: string): Promise<Broker | undefined>
  remove(): Promise<void>
}

/** Starts so many nodes, and joins them. */
export async function startCluster(size: number): Promise<Cluster> {
  const [epmdPort = 0] = await freePorts(1)
  const cluster = { epmdPort, cookie: randomBytes(12).toString('hex') }
  const first = await startBroker({ cluster })
  const nodes: [Broker, ...Broker[]] = [first]
  for (let number = 1; number < size; number++) {
    const node = await startBroker({ cluster })
    await node.control('stop_app')
    await node.control('reset')
    await node.control('join_cluster', first.node)
    await node.control('start_app')
    nodes.push(node)
  }
  const hostOf = ({ port }: Broker): { readonly host: string; readonly port: number } => ({ host: '127.0.0.1', port })
  return {
    nodes,
    hosts: [hostOf(first), ...nodes.slice(1).map(hostOf)],
    async leaderOf(queue) {
      for (const node of nodes) {
        const facts = (await node.api('GET', `queues/%2F/${encodeURIComponent(queue)}`).catch(() => undefined)) as
          | { readonly leader?: string }
          | undefined
        const leader = nodes.find((each) => each.node === facts?.leader)
        if (leader !== undefined) return leader
      }
      return undefined
    },
    async remove() {
      for (const node of nodes.toReversed()) await node.remove()
    },
  }
}
