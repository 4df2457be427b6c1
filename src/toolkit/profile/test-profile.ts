import { access, constants, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type BrokerReport, discoverStorage, probeBroker } from '../../transport/open.ts'
import type { Connection, Project } from '../project.ts'
import { readBroker } from './broker-settings.ts'

export interface TestOptions {
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  readonly warn: (warning: string) => void
}

/** What was found where a profile leads. */
export type TestedProfile =
  | { readonly transport: 'learning'; readonly storage: string; readonly origin: string; readonly problem: string | undefined }
  | ({ readonly transport: 'rabbitmq'; readonly origin: string } & BrokerReport)

/**
 * Goes where a connection leads, and changes nothing there.
 *
 * @returns undefined where the learning transport has no folder yet, or the transport cannot be tested
 * @throws {NsbError} why a broker cannot be connected with
 */
export async function testProfile(connection: Connection, project: Project, options: TestOptions): Promise<TestedProfile | undefined> {
  if (connection.broker !== undefined) {
    const { origin, settings } = await readBroker(connection.broker, options)
    const report = await probeBroker(settings, { endpoint: 'nsb', timeoutMs: options.timeoutMs, warn: options.warn })
    return { transport: 'rabbitmq', origin, ...report }
  }
  if (connection.transport.value !== 'learning') return undefined
  const found = connection.storage && { path: connection.storage.value, reason: connection.storage.origin }
  const { path, reason } = found ?? discoverStorage({ from: project.folder }) ?? {}
  if (path === undefined || reason === undefined) return undefined
  return { transport: 'learning', storage: path, origin: reason, problem: await folderProblem(path) }
}

/** A folder that is not there yet is made when it is needed. */
async function folderProblem(path: string): Promise<string | undefined> {
  const attempt = (folder: string): Promise<string | undefined> =>
    access(folder, constants.R_OK | constants.W_OK).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    )
  const isFile = await stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  )
  if (isFile) return `'${path}' is not a folder`
  const code = await attempt(path)
  if (code === undefined) return undefined
  if (code !== 'ENOENT') return `'${path}' cannot be read and written (${code})`
  return (await attempt(dirname(path))) === undefined ? undefined : `'${path}' does not exist and cannot be made`
}
