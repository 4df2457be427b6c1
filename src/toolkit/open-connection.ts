import { statSync } from 'node:fs'
import { relative } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import type { Connection, Project } from './project.ts'
import { discoverStorage, openTransport } from '../transport/open.ts'
import type { Transport } from '../transport/transport.ts'

export interface Told {
  /** Where the storage is and why; for `--verbose`. */
  detail(text: string): void
  /** Of what was skipped, or interrupted and goes on. */
  warning(text: string): void
}

export interface Opened {
  readonly transport: Transport
  /** For people: what it is, where, and why there. */
  readonly where: string
}

/**
 * Opens what {@link Connection} says; nothing of a transport is loaded before.
 *
 * @throws {NsbError} NSB_NO_STORAGE, NSB_UNKNOWN_TRANSPORT
 */
export async function openConnection(connection: Connection, project: Project, told: Told): Promise<Opened> {
  told.detail(
    `profile ${connection.profile.value} (${connection.profile.origin}), transport ${connection.transport.value} (${connection.transport.origin})`,
  )
  if (connection.transport.value !== 'learning')
    return { transport: await openTransport({ kind: connection.transport.value }), where: connection.transport.value }
  const storage = await storageOf(connection, project)
  told.detail(`storage ${storage.path} (${storage.reason})`)
  // A misspelled folder would look like an empty one.
  const found = statSync(storage.path, { throwIfNoEntry: false })
  if (connection.storage !== undefined && !found?.isDirectory())
    throw new NsbError({
      code: 'NSB_NO_STORAGE',
      message: `The storage folder '${storage.path}' (${storage.reason}) ${found ? 'is a file' : 'does not exist'}.`,
      suggestions: [...(found ? [] : [`mkdir -p ${storage.path}`]), 'Name another one: --storage <dir>'],
      details: { storage: storage.path, origin: storage.reason },
    })
  return {
    transport: await openTransport({ kind: 'learning', storage: storage.path, warn: (text) => told.warning(text) }),
    where: `learning (${relative(process.cwd(), storage.path) || '.'}, ${storage.reason})`,
  }
}

async function storageOf(connection: Connection, project: Project): Promise<{ readonly path: string; readonly reason: string }> {
  if (connection.storage !== undefined) return { path: connection.storage.value, reason: connection.storage.origin }
  const found = discoverStorage({ from: project.folder })
  if (found !== undefined) return found
  throw new NsbError({
    code: 'NSB_NO_STORAGE',
    message: `No storage folder of the learning transport: neither a solution file nor a folder '.learningtransport' in '${project.folder}' or above it.`,
    suggestions: ['Name one: --storage <dir> or NSB_STORAGE', 'Make one where you are: mkdir .learningtransport'],
    details: { from: project.folder },
  })
}
