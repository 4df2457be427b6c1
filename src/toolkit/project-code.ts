import { basename, relative } from 'node:path'
import { type MessageType, definitionOf } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import { type EndpointDefinition, type Route, defineEndpoint, isEndpointDefinition, route } from '../runtime/definition.ts'
import { type HandlerFiles, looksLikeHandler } from '../runtime/handlers.ts'
import type { RecoverabilityPolicy } from '../runtime/recoverability.ts'
import { findFiles } from './load-handlers/find-files.ts'
import { type LoadedModule, loadModules } from './load-handlers/load-modules.ts'
import type { Project } from './project.ts'
import { endpointNameFor } from './scaffold/project-layout.ts'

const extensions = '{ts,mts,cts,js,mjs,cjs}'
const handlerGlob = `**/*.handler.${extensions}`
const messageGlob = `src/messages/**/*.${extensions}`
const endpointFile = `endpoint.${extensions}`

/** The code of a project, loaded: what it handles and which messages it declares. */
export interface ProjectCode {
  readonly definition: EndpointDefinition
  readonly files: HandlerFiles
  /** Every message type that a message or handler file exports. */
  readonly messages: readonly MessageType[]
  /** Everything that those files export. */
  readonly exported: readonly unknown[]
  /** Files the definition came from, relative to the project. */
  readonly sources: readonly string[]
  dispose(this: void): Promise<void>
}

/** What the command line says instead of the project. */
export interface EndpointOverrides {
  readonly name?: string | undefined
  readonly instance?: string | undefined
  readonly concurrency?: number | undefined
  readonly errorQueue?: string | undefined
  readonly immediateRetries?: number | undefined
  readonly delayedRetries?: number | undefined
  readonly delayIncreaseMs?: number | undefined
  /** Names of the handlers to run; all others are left out. */
  readonly only?: readonly string[] | undefined
}

/**
 * Loads the endpoint of a folder: the default export of `endpoint.ts` when there is one, else every handler of the handler files.
 *
 * @throws {NsbError} NSB_NO_HANDLERS_FOUND, NSB_NOT_A_HANDLER, and what loading refuses
 */
export async function loadProjectCode(project: Project, overrides: EndpointOverrides = {}): Promise<ProjectCode> {
  const root = project.folder
  const endpointFiles = await findFiles(root, endpointFile)
  const handlerFiles = await findFiles(root, project.endpoint.handlers ?? handlerGlob)
  const messageFiles = await findFiles(root, project.endpoint.messages ?? messageGlob)
  const { modules, dispose } = await loadModules({
    root,
    files: [...new Set([...endpointFiles, ...handlerFiles, ...messageFiles])],
    consent: project.consent,
  })
  const named = endpointFiles.map((file) => moduleOf(modules, file).namespace['default']).find(isEndpointDefinition)
  const found = named
    ? []
    : handlerFiles.flatMap((file) => exportsOf(moduleOf(modules, file)).filter(({ value }) => looksLikeHandler(value)))
  const files: HandlerFiles = new Map(found.map(({ file, value }) => [value, relative(root, file)]))
  const messages = messageTypesOf(modules)
  const handlers = selected([...new Set(found.map(({ value }) => value))], overrides.only)
  return {
    definition: withOverrides(named ?? fromProject(project, handlers), messages, project, overrides),
    files,
    messages,
    exported: valuesOf(modules),
    sources: (named ? endpointFiles : handlerFiles).map((file) => relative(root, file)),
    dispose,
  }
}

/**
 * The message types of a project, for `send`: those of its message files, and where one is missing there, of its handler files too. A
 * handler that does not compile then keeps nobody from sending.
 *
 * @param isEnough told what was found so far
 */
export async function loadMessageTypes(
  project: Project,
  isEnough: (messages: readonly MessageType[]) => boolean,
): Promise<Pick<ProjectCode, 'messages' | 'exported' | 'dispose'>> {
  const files = await findFiles(project.folder, project.endpoint.messages ?? messageGlob)
  const { modules, dispose } = await loadModules({ root: project.folder, files, consent: project.consent })
  const messages = messageTypesOf(modules)
  if (isEnough(messages)) return { messages, exported: valuesOf(modules), dispose }
  await dispose()
  return loadProjectCode(project)
}

/** The routes of nsb.json. */
export function routesOf(project: Project): readonly Route[] {
  return Object.entries(project.routing).map(([match, destination]) => route(match, destination))
}

function fromProject(project: Project, handlers: readonly unknown[]): EndpointDefinition {
  return defineEndpoint(project.endpoint.name ?? endpointNameFor(basename(project.folder)), { handlers: handlers as never })
}

function withOverrides(
  definition: EndpointDefinition,
  messages: readonly MessageType[],
  project: Project,
  overrides: EndpointOverrides,
): EndpointDefinition {
  const { endpoint } = project
  const chosen = typeof definition.recoverability === 'object' ? definition.recoverability : {}
  const retries = Object.fromEntries(
    (['immediateRetries', 'delayedRetries', 'delayIncreaseMs'] as const).flatMap((key) => {
      const value = overrides[key] ?? endpoint.recoverability[key]
      return value === undefined ? [] : [[key, value]]
    }),
  )
  const errorQueue = overrides.errorQueue ?? definition.errorQueue ?? endpoint.errorQueue
  const auditQueue = definition.auditQueue ?? endpoint.auditQueue
  const instance = overrides.instance ?? definition.instance
  const concurrency = overrides.concurrency ?? definition.concurrency
  const { name = definition.name } = overrides
  // Checked once more, because the command line can name things that a definition would refuse.
  const checked = defineEndpoint(name, { ...(concurrency !== undefined && { concurrency }) })
  return {
    ...definition,
    ...checked,
    handlers: definition.handlers,
    messages: [...new Set([...(definition.messages ?? []), ...messages])],
    routes: [...(definition.routes ?? []), ...routesOf(project)],
    recoverability:
      typeof definition.recoverability === 'function'
        ? policyWith(definition.recoverability, overrides, errorQueue)
        : { ...chosen, ...retries },
    ...(errorQueue !== undefined && { errorQueue }),
    ...(auditQueue !== undefined && { auditQueue }),
    ...(instance !== undefined && { instance }),
  }
}

/** A policy of the project, with the numbers of the command line as its defaults; without retries there are none, whatever it says. */
function policyWith(policy: RecoverabilityPolicy, overrides: EndpointOverrides, errorQueue: string | undefined): RecoverabilityPolicy {
  const numbers = Object.fromEntries(
    (['immediateRetries', 'delayedRetries', 'delayIncreaseMs'] as const).flatMap((key) =>
      overrides[key] === undefined ? [] : [[key, overrides[key]]],
    ),
  )
  return (failure, byDefault) => {
    const action = policy(failure, (changed) => byDefault({ ...numbers, ...changed }))
    const noRetries = overrides.immediateRetries === 0 && overrides.delayedRetries === 0
    return noRetries && (action.kind === 'retryNow' || action.kind === 'retryLater')
      ? { kind: 'moveToError', queue: errorQueue ?? 'error' }
      : action
  }
}

function selected(handlers: readonly unknown[], only: readonly string[] | undefined): readonly unknown[] {
  if (only === undefined || only.length === 0) return handlers
  const nameOf = (candidate: unknown): string => (candidate as { name?: string }).name ?? ''
  const known = handlers.map(nameOf)
  const unknown = only.find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new NsbError({
      code: 'NSB_UNKNOWN_HANDLER',
      message: `There is no handler '${unknown}' here.`,
      suggestions: [`Handlers here: ${known.join(', ') || 'none'}`, 'nsb handlers'],
    })
  return handlers.filter((candidate) => only.includes(nameOf(candidate)))
}

function messageTypesOf(modules: readonly LoadedModule[]): readonly MessageType[] {
  return [...new Set(valuesOf(modules).filter((value): value is MessageType => definitionOf(value) !== undefined))]
}

function valuesOf(modules: readonly LoadedModule[]): readonly unknown[] {
  return modules.flatMap(exportsOf).map(({ value }) => value)
}

function exportsOf(module: LoadedModule): readonly { readonly file: string; readonly value: unknown }[] {
  return module.exports.map((name) => ({ file: module.file, value: module.namespace[name] }))
}

function moduleOf(modules: readonly LoadedModule[], file: string): LoadedModule {
  return modules.find((module) => module.file === file) as LoadedModule
}

/** Refuses to run a folder without handlers. @throws {NsbError} NSB_NO_HANDLERS_FOUND */
export function requireHandlers(code: ProjectCode, project: Project): void {
  if (code.definition.handlers.length > 0) return
  throw new NsbError({
    code: 'NSB_NO_HANDLERS_FOUND',
    message: `No handler was found in ${project.folder} (looked for ${project.endpoint.handlers ?? handlerGlob}).`,
    suggestions: ['nsb scaffold handler PlaceOrder', 'nsb run <dir>'],
  })
}
