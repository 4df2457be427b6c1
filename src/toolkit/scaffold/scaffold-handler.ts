import type { MessageKind } from '../../message/declaration.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { globPattern } from '../load-handlers/find-files.ts'
import type { Project } from '../project.ts'
import type { Consent } from '../trust/trust.ts'
import { type KnownMessage, declarationOf, describeMessages, findDeclarations } from './find-messages.ts'
import { type HandlerDesign, handlerFiles } from './handler-files.ts'
import { asKnown, kindText, messageFile } from './message-file.ts'
import { idPropertyOf, kindOf, typeNames } from './names.ts'
import { type ProjectLayout, projectLayout } from './project-layout.ts'
import { type ProjectStyle, projectStyle } from './project-style.ts'
import { type NewProperty, type Property, parseProperties, property } from './properties.ts'
import { type NewFile, type PlannedFile, folderInside, planFiles } from './write-files.ts'

export interface HandlerRequest {
  readonly message: string
  /** For the message, when it is not declared yet. */
  readonly properties: readonly string[]
  /** Further message types of the same handler. */
  readonly also?: readonly string[]
  readonly replies?: string | undefined
  readonly namespace?: string | undefined
  readonly dir?: string | undefined
  readonly js?: boolean
  readonly test?: boolean
  readonly force?: boolean
}

export interface HandlerPlan {
  /** Message files, handler and test; those of messages declared already as `same`. */
  readonly files: readonly PlannedFile[]
  /** Full names of the messages that are declared along the way. */
  readonly newMessages: readonly string[]
  /** The test that would be written. */
  readonly test: string | undefined
  readonly tests: number
  readonly style: ProjectStyle
  /** A command that can be sent to it, by short name, with sample data; undefined when that is no short text. */
  readonly example: { readonly type: string; readonly data: readonly string[] } | undefined
  /** What the person should know. */
  readonly warnings: readonly string[]
}

interface Resolved {
  readonly message: KnownMessage
  readonly file: NewFile | undefined
}

/**
 * Plans a handler with its test, and the messages it needs that are not declared anywhere; `writeFiles` writes them.
 *
 * @throws {NsbError} NSB_BAD_NAME, NSB_BAD_PROPERTY, NSB_BAD_PATH, NSB_MESSAGE_EXISTS, NSB_NOT_A_REPLY, and what loading a message file refuses
 */
export async function planHandler(project: Project, request: HandlerRequest): Promise<HandlerPlan> {
  const layout = projectLayout(project, request.namespace)
  const style = await projectStyle(layout.root, request.js === true ? 'js' : 'ts')
  const given = parseProperties(request.properties)
  const names = [...new Set([request.message, ...(request.also ?? [])])]
  const resolve = await messageResolver(layout, style, project.consent)
  const handled: Resolved[] = []
  for (const [index, name] of names.entries()) handled.push(await resolve(name, kindOf, index === 0 ? given : []))
  const first = handled[0] as Resolved
  const reply =
    request.replies === undefined ? undefined : await resolve(request.replies, () => 'message', [], first.message.properties.flatMap(asNew))
  if (reply && reply.message.kind !== 'message') throw notAReply(reply.message)

  const folder = request.dir === undefined ? layout.handlerFolder : folderInside(layout.root, request.dir)
  const design: HandlerDesign = {
    messages: handled.map(({ message }) => message),
    reply: reply?.message,
    folder,
    test: request.test !== false,
  }
  const { handler, test } = await handlerFiles(layout.root, design, style)
  const all = [...handled, ...(reply ? [reply] : [])]
  const unique = all.filter(({ message }, index) => all.findIndex((other) => other.message.fullName === message.fullName) === index)
  const written = [...unique.flatMap(({ file }) => file ?? []), handler, ...(test ? [test] : [])]
  const planned = await planFiles(layout.root, written, request.force === true)
  const declared = unique.filter(({ file }) => file === undefined).map(({ message }) => declaredFile(message, message === reply?.message))
  return {
    files: [...declared, ...planned],
    newMessages: unique.flatMap(({ message, file }) =>
      file === undefined || planned.find(({ path }) => path === file.path)?.action === 'same' ? [] : [message.fullName],
    ),
    test: test?.path,
    tests: test ? handled.length : 0,
    style,
    example: exampleOf(handled.map(({ message }) => message)),
    warnings: warningsFor(handler.path, layout),
  }
}

async function messageResolver(layout: ProjectLayout, style: ProjectStyle, consent: Consent | undefined) {
  const declarations = await findDeclarations(layout.root, layout.messageGlob)
  return async (
    given: string,
    kindFor: (name: string) => MessageKind,
    properties: readonly NewProperty[],
    suggested: readonly NewProperty[] = [],
  ): Promise<Resolved> => {
    const names = typeNames(given, layout.namespace)
    const declared = declarationOf(given, declarations)
    if (declared) {
      const [message] = (await describeMessages(layout.root, [declared], consent)) as [KnownMessage]
      if (properties.length > 0 && !sameProperties(message.properties, properties)) throw messageExists(message)
      return { message, file: undefined }
    }
    const about = suggested.find(({ name, optional }) => name.endsWith('Id') && !optional) ?? suggested[0]
    const chosen = properties.length > 0 ? properties : [about ?? property(idPropertyOf(names.short), 'string')]
    const message = { names, kind: kindFor(names.short), properties: chosen, folder: layout.messageFolder }
    const file = await messageFile(layout.root, message, style)
    return { message: asKnown(message, file), file }
  }
}

/** The same property for another message; none where its type has no short name. */
function asNew({ name, type, optional }: Property): readonly NewProperty[] {
  return type === undefined ? [] : [property(name, type, optional)]
}

function sameProperties(declared: readonly Property[], given: readonly NewProperty[]): boolean {
  const text = (list: readonly Property[]): string => list.map(({ name, type, optional }) => `${name}:${type}:${optional}`).join()
  return text(declared) === text(given)
}

function declaredFile({ file, fullName, kind }: KnownMessage, isReply: boolean): PlannedFile {
  return { path: file, content: '', action: 'same', type: `${fullName} (${kindText(kind, isReply)})` }
}

function messageExists({ fullName, file }: KnownMessage): NsbError {
  return new NsbError({
    code: 'NSB_MESSAGE_EXISTS',
    message: `'${fullName}' is declared already, in ${file}, with other properties.`,
    suggestions: ['Leave the properties out', 'Change them there'],
    details: { file, type: fullName },
  })
}

function notAReply({ fullName, kind, file }: KnownMessage): NsbError {
  return new NsbError({
    code: 'NSB_NOT_A_REPLY',
    message: `'${fullName}' (${file}) is ${kind === 'event' ? 'an event' : 'a command'}; a reply is a plain message.`,
    suggestions: [`Declare it with message('${fullName}', …)`, 'Choose another type for --replies'],
  })
}

function exampleOf(messages: readonly KnownMessage[]): HandlerPlan['example'] {
  const command = messages.find(({ kind }) => kind === 'command')
  if (!command) return undefined
  const required = command.properties.filter(({ optional }) => !optional)
  const isShort = required.length <= 3 && required.every(({ sample }) => /^[\w.:-]+$/.test(String(sample)))
  return isShort ? { type: command.name, data: required.map(({ name, sample }) => `${name}=${String(sample)}`) } : undefined
}

function warningsFor(handler: string, { handlerGlob }: ProjectLayout): readonly string[] {
  return globPattern(handlerGlob.replace(/^(?:\.\/)+/, '')).test(handler)
    ? []
    : [`nsb run will not find ${handler}: 'endpoint.handlers' in nsb.json is '${handlerGlob}'.`]
}
