import { NsbError } from '../message/nsb-error.ts'
import type { Connection, Project } from '../toolkit/project.ts'
import type { Transport } from '../transport/transport.ts'

/**
 * Opens what {@link Connection} says; nothing of a transport is loaded before.
 *
 * @param tell is told the storage folder and where it comes from
 */
export async function openConnection(connection: Connection, project: Project, tell: (text: string) => void): Promise<Transport> {
  void [connection, project, tell]
  return Promise.reject(new NsbError({ code: 'NSB_CANNOT_CONNECT', message: 'No transport yet.' }))
}
