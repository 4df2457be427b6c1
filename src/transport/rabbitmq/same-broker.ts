import { NsbError } from '../../message/nsb-error.ts'
import type { BrokerConnection } from './connection.ts'
import { record } from './policies.ts'

/** What a broker says of itself to those who are connected with it. */
export interface BrokerIdentity {
  /** `rabbit@mq1`, unless somebody has named it. */
  readonly clusterName: string
  readonly version: string
  /** Its address, without a login. */
  readonly address: string
}

/** Whom a connection leads to. @throws {NsbError} why it cannot be connected with */
export async function identityOf(connection: BrokerConnection): Promise<BrokerIdentity> {
  const { cluster_name: clusterName, version } = (await connection.open()).connection.serverProperties
  return { clusterName: String(clusterName), version: String(version), address: connection.address.replace(/\/\/[^@/]*@/, '//') }
}

/** What the management API is asked for it. Without the figures, which take a large broker long. */
export const whoItIs = 'overview?columns=cluster_name,node,rabbitmq_version&disable_stats=true&enable_queue_totals=false'
/** The same for all nodes. */
export const whichNodes = 'nodes?columns=applications'

/** The same cluster, and the version; while a cluster is upgraded, that of one of its nodes. @param nodes asked only where it matters */
export async function isSame(told: unknown, broker: BrokerIdentity, nodes: () => Promise<unknown>): Promise<boolean> {
  const { cluster_name: cluster, rabbitmq_version: version } = record(told) ?? {}
  if (cluster !== broker.clusterName) return false
  if (version === broker.version) return true
  const list = await nodes()
  const applications = (Array.isArray(list) ? list : []).flatMap((node) => record(node)?.['applications'] ?? []).map(record)
  return applications.some((each) => each?.['name'] === 'rabbit' && each['version'] === broker.version)
}

/** @param address of the management API, without a login */
export function managementElsewhere(address: string, told: unknown, broker: BrokerIdentity): NsbError {
  const { cluster_name: cluster, node, rabbitmq_version: version } = record(told) ?? {}
  return new NsbError({
    code: 'NSB_MANAGEMENT_ELSEWHERE',
    message: `The management API at '${address}' is that of another broker: '${String(cluster)}' (node '${String(node)}', version ${String(version)}), while '${broker.address}' is '${broker.clusterName}' (version ${broker.version}).`,
    suggestions: ['Name the address of its own in the profile: "management": "http://host:15672"'],
    details: { management: { address, clusterName: cluster, node, version }, broker },
  })
}
