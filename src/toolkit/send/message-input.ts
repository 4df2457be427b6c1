import { type MessageDefinition, type MessageType, messageSymbol } from '../../message/declaration.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { TypeMap } from '../../message/type-map.ts'
import { loadMessageTypes } from '../project-code.ts'
import type { Project } from '../project.ts'
import { type BodySources, readBody, validateBody } from './body.ts'
import { type EnumNames, enumNames } from './enum-names.ts'
import type { MessageBody } from './envelope.ts'
import { type ChosenType, chooseType } from './message-type.ts'

/** The bodies of the messages to send, before they are read. */
export type BodyInput =
  | { readonly kind: 'json'; readonly sources: readonly BodySources[] }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly contentType: string }

/** What a person said about the messages to send. */
export interface MessageInput {
  /** Full name, or a short one. */
  readonly name: string
  readonly kind: 'command' | 'event'
  /** A destination was given, so the type may be unknown. */
  readonly to: boolean
  readonly validate: boolean
  readonly input: () => Promise<BodyInput>
}

/** The type, and bodies that its schema accepted, or any bodies where nothing validates. */
export interface ReadyMessages extends ChosenType {
  readonly type: MessageType
  readonly bodies: readonly MessageBody[]
  /** Of the project's enums, for what a reply is compared with. */
  readonly enums: EnumNames
  dispose(this: void): Promise<void>
}

/**
 * Finds the type and reads all bodies.
 *
 * @throws {NsbError} NSB_UNKNOWN_TYPE, NSB_AMBIGUOUS_TYPE, NSB_NOT_JSON, NSB_BAD_DATA, NSB_BODY_INVALID; of several bodies the error names
 * the lines
 */
export async function readMessages(project: Project, { kind, name, to, validate, input }: MessageInput): Promise<ReadyMessages> {
  const { messages, exported, dispose } = await loadMessageTypes(project, (found) => new TypeMap(found).find(name).length > 0)
  const { type, known } = chooseType(name, messages, { to, noValidate: !validate, kind })
  const read = await input()
  const definition = known && validate ? type[messageSymbol] : undefined
  return {
    type,
    known,
    bodies: read.kind === 'bytes' ? [read] : allBodies(read.sources, definition),
    enums: enumNames(exported, messages),
    dispose,
  }
}

const mostProblemsShown = 5

function allBodies(sources: readonly BodySources[], definition: MessageDefinition | undefined): readonly MessageBody[] {
  const problems: { readonly line: number; readonly error: NsbError }[] = []
  const bodies = sources.map((source): MessageBody => {
    try {
      const tree = readBody(source, definition)
      const value = definition ? validateBody(definition, tree) : tree
      return { kind: 'value', value, ...(source.line !== undefined && { line: source.line }) }
    } catch (error) {
      if (source.line === undefined || !(error instanceof NsbError)) throw error
      problems.push({ line: source.line, error })
      return { kind: 'value', value: {} }
    }
  })
  const [first] = problems
  if (first === undefined) return bodies
  const more = problems.length - mostProblemsShown
  throw new NsbError({
    code: first.error.code,
    message: [
      `${problems.length} of ${sources.length} lines cannot be sent, so none was:`,
      ...problems.slice(0, mostProblemsShown).map(({ line, error }) => `line ${line}: ${error.message}`),
      ...(more > 0 ? [`… and ${more} more`] : []),
    ].join('\n'),
    suggestions: first.error.suggestions,
    cause: first.error,
    details: { lines: problems.map(({ line, error }) => ({ line, code: error.code, message: error.message })) },
  })
}
