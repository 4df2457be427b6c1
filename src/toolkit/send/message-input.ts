import { type MessageType, messageSymbol } from '../../message/declaration.ts'
import { TypeMap } from '../../message/type-map.ts'
import { loadMessageTypes } from '../project-code.ts'
import type { Project } from '../project.ts'
import { type BodySources, readBody, validateBody } from './body.ts'
import { type ChosenType, chooseType } from './message-type.ts'

/** What a person said about the message to send. */
export interface MessageInput {
  /** Full name, or a short one. */
  readonly name: string
  readonly kind: 'command' | 'event'
  /** A destination was given, so the type may be unknown. */
  readonly to: boolean
  readonly validate: boolean
  sources(): Promise<BodySources>
}

/** The type and a body that its schema accepted, or any body where nothing validates. */
export interface ReadyMessage extends ChosenType {
  readonly type: MessageType
  readonly body: object
  dispose(this: void): Promise<void>
}

/**
 * Finds the type and reads the body.
 *
 * @throws {NsbError} NSB_UNKNOWN_TYPE, NSB_AMBIGUOUS_TYPE, NSB_NOT_JSON, NSB_BAD_DATA, NSB_BODY_INVALID
 */
export async function readMessage(project: Project, { kind, name, to, validate, ...input }: MessageInput): Promise<ReadyMessage> {
  const { messages, dispose } = await loadMessageTypes(project, (found) => new TypeMap(found).find(name).length > 0)
  const { type, known } = chooseType(name, messages, { to, noValidate: !validate, kind })
  const definition = known && validate ? type[messageSymbol] : undefined
  const tree = readBody(await input.sources(), definition)
  return { type, known, body: definition ? validateBody(definition, tree) : tree, dispose }
}
