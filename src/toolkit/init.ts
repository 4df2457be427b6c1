import { readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import { makeFolder } from '../transport/making-folders.ts'
import { setInJson } from './config/edit-json.ts'
import { packageRoot } from './load-handlers/own-package.ts'
import { withoutPasswords } from './config/secrets.ts'
import { projectFileName } from './project-file.ts'
import { kebabCase } from './scaffold/names.ts'
import { endpointNameFor } from './scaffold/project-layout.ts'
import { loadTemplate, renderFiles } from './scaffold/templates.ts'
import { type PlannedFile, planFiles, writeFiles } from './scaffold/write-files.ts'

export interface InitRequest {
  readonly folder: string
  /** Default: the folder's name in PascalCase. */
  readonly endpoint?: string | undefined
  /** `rabbitmq` adds a profile for the broker of this machine. Default: learning. */
  readonly transport?: string | undefined
}

/** The profile that is added for RabbitMQ, and the login every broker has at first, which only works on its own machine. */
const localProfile = { name: 'local', transport: 'rabbitmq', connection: 'amqp://guest:guest@localhost:5672' } as const

export interface InitResult {
  readonly folder: string
  readonly endpoint: string
  /** Profiles that were written. */
  readonly profiles: readonly string[]
  /** `keep`: exists with other content and was left alone. */
  readonly files: readonly { readonly path: string; readonly action: 'create' | 'same' | 'keep' }[]
}

/** What the endpoint of a folder would be called. */
export function suggestedEndpoint(folder: string): string {
  return endpointNameFor(basename(resolve(folder)))
}

/** That of the error queue says that nothing has failed yet. */
const emptyFolders = ['src/handlers', 'src/messages', '.learningtransport/error']

/**
 * Makes a folder a project. What exists is never changed.
 *
 * @throws {NsbError} NSB_BAD_ENDPOINT_NAME, NSB_NOT_A_FOLDER
 */
export async function initProject(request: InitRequest): Promise<InitResult> {
  const folder = resolve(request.folder)
  const endpoint = request.endpoint ?? suggestedEndpoint(folder)
  checkEndpointName(endpoint, '--name ')
  await checkFolder(folder)
  const planned = await planFiles(folder, await projectFiles(folder, endpoint, request.transport), false)
  const kept = planned.filter(({ action }) => action !== 'conflict')
  await writeFiles(folder, kept)
  const folders = await Promise.all(
    emptyFolders.map(async (path) => ({ path: `${path}/`, action: await makeHandlersFolder(join(folder, path)) })),
  )
  const files = planned.map(({ path, action }) => ({
    path,
    action: action === 'conflict' ? ('keep' as const) : (action as 'create' | 'same'),
  }))
  const hasProfiles = files.some(({ action, path }) => path === projectFileName && action !== 'keep')
  const profiles = hasProfiles ? ['default', ...(request.transport === localProfile.transport ? [localProfile.name] : [])] : []
  return { folder, endpoint, profiles, files: [...files, ...folders] }
}

/**
 * @param flag what a better name is written after
 * @throws {NsbError} NSB_BAD_ENDPOINT_NAME
 */
export function checkEndpointName(endpoint: string, flag = ''): void {
  if (!/^[A-Za-z_][\w.-]*$/.test(endpoint) || endpoint.endsWith('.'))
    throw new NsbError({
      code: 'NSB_BAD_ENDPOINT_NAME',
      message: `'${endpoint}' cannot be the name of an endpoint: it names its queue, so it has letters, digits, '.', '-' and '_', and begins with a letter.`,
      // What was typed may be a connection.
      suggestions: [`${flag}${endpointNameFor(withoutPasswords(endpoint))}`],
    })
}

/** What a new project has beside its code. */
export async function projectFiles(
  folder: string,
  endpoint: string,
  transport?: string,
): Promise<readonly Pick<PlannedFile, 'path' | 'content'>[]> {
  const own = await ownVersions()
  const files = renderFiles(await loadTemplate('project', folder), {
    dot: '.',
    endpoint,
    namespace: endpointNameFor(endpoint),
    package: kebabCase(endpoint.replaceAll(/[._]/g, '-')),
    ...own,
  })
  const order = [projectFileName]
  return files
    .map(({ path, text }) => ({ path, content: path === projectFileName && transport === localProfile.transport ? withLocal(text) : text }))
    .toSorted((a, b) => order.indexOf(b.path) - order.indexOf(a.path))
}

function withLocal(text: string): string {
  const { connection, name, transport } = localProfile
  return setInJson(setInJson(text, ['profiles', name, 'transport'], transport), ['profiles', name, 'connection'], connection)
}

/** The versions we are built and tested with, as ranges. */
async function ownVersions() {
  const { version, dependencies, devDependencies } = JSON.parse(await readFile(join(packageRoot(), 'package.json'), 'utf8')) as {
    readonly version: string
    readonly dependencies: Readonly<Record<string, string>>
    readonly devDependencies: Readonly<Record<string, string>>
  }
  const range = (name: string): string => `^${dependencies[name] ?? devDependencies[name] ?? '0.0.0'}`
  return {
    nsbus: `^${version}`,
    zod: range('zod'),
    typescript: range('typescript'),
    vitest: range('vitest'),
    typesNode: range('@types/node'),
  }
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') return 'inside a file' as const
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  if (found === undefined || (found !== 'inside a file' && found.isDirectory())) return
  throw new NsbError({
    code: 'NSB_NOT_A_FOLDER',
    message: `'${folder}' is not a folder.`,
    suggestions: ['Choose another one: nsb init <dir>'],
  })
}

async function makeHandlersFolder(folder: string): Promise<'create' | 'same'> {
  return (await makeFolder(folder)) === undefined ? 'same' : 'create'
}
