import { isUtf8 } from 'node:buffer'
import { messageSymbol } from '../../../message/declaration.ts'
import type { MessageDefinition } from '../../../message/declaration.ts'
import { displayTypeOf, isTextBody, typeOf } from '../../../message/failure.ts'
import { NsbError } from '../../../message/nsb-error.ts'
import { declaredNames } from '../../../serialization/declared.ts'
import { NotJsonError } from '../../../serialization/not-json-error.ts'
import { readJson } from '../../../serialization/json-read.ts'
import type { Headers } from '../../../transport/transport.ts'
import { loadMessageTypes } from '../../project-code.ts'
import type { Project } from '../../project.ts'
import { validateBody } from '../../send/body.ts'
import { contentOf, textOf } from './editable.ts'
import { readJsonText } from './json-text.ts'
import { checkXml } from './xml.ts'

/**
 * Is a body what its content type says? Of a binary one nothing is known.
 *
 * @throws {NsbError} NSB_NOT_JSON with line and column, NSB_NOT_XML, NSB_NOT_TEXT
 */
export function checkContent(body: Uint8Array, headers: Headers): void {
  if (!isTextBody(headers)) return
  if (!isUtf8(body))
    throw new NsbError({
      code: 'NSB_NOT_TEXT',
      message: 'The body is not valid UTF-8. Nothing was sent.',
      suggestions: ['Save it as UTF-8'],
      details: { bytes: body.byteLength },
    })
  const text = textOf(body).replace(/^\uFEFF/, '')
  const content = contentOf(headers)
  if (content === 'json') checkJson(text)
  if (content === 'xml') checkXml(text)
}

function checkJson(text: string): void {
  try {
    readJsonText(text)
  } catch (error) {
    if (!(error instanceof NsbError)) throw error
    const { details, message } = error
    throw new NotJsonError(`${message} Nothing was sent.`, details, [
      'Correct it there',
      'or say what it is: --set-header NServiceBus.ContentType=text/plain',
    ])
  }
}

/** What a project knows of the type of a message. */
export interface KnownSchema {
  readonly definition: MessageDefinition
  dispose(this: void): Promise<void>
}

/** The declaration of a message's type in the project; undefined: it has none. @throws what keeps the project's code from being loaded */
export async function schemaOf(project: Project, headers: Headers): Promise<KnownSchema | undefined> {
  const type = typeOf(headers)
  if (type === undefined) return undefined
  const name = displayTypeOf(type)
  const { dispose, messages } = await loadMessageTypes(project, (found) => found.some((each) => each[messageSymbol].fullName === name))
  const definition = messages.find((each) => each[messageSymbol].fullName === name)?.[messageSymbol]
  if (definition !== undefined) return { definition, dispose }
  await dispose()
  return undefined
}

/**
 * Does the schema take the body? What the original had beyond the declaration may stay: senders may know more of a message than we do.
 *
 * @throws {MessageValidationError} NSB_BODY_INVALID
 * @throws {NotJsonError} NSB_NOT_JSON
 */
export function checkSchema(definition: MessageDefinition, body: Uint8Array, original: Uint8Array): void {
  const tree = treeOf(body)
  const before = objectOrNothing(original)
  const declared = declaredNames(definition.schema)
  const known = declared && new Set(declared.map((name) => name.toLowerCase()))
  const beyond = (key: string): boolean => Object.hasOwn(before, key) && known !== undefined && !known.has(key.toLowerCase())
  validateBody(definition, Object.fromEntries(Object.entries(tree).filter(([key]) => !beyond(key))))
}

function treeOf(body: Uint8Array): Record<string, unknown> {
  const tree = readJson(body)
  if (typeof tree === 'object' && tree !== null && !Array.isArray(tree)) return tree as Record<string, unknown>
  throw new NotJsonError('The body is no JSON object, and the schema of its type wants one.', undefined, [
    'Make it an object',
    'or leave the schema out: --no-validate',
  ])
}

function objectOrNothing(body: Uint8Array): Record<string, unknown> {
  try {
    return treeOf(body)
  } catch {
    return {}
  }
}
