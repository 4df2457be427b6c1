import type { MessageKind } from '../../message/declaration.ts'
import type { KnownMessage } from './find-messages.ts'
import type { TypeNames } from './names.ts'
import { type ProjectStyle, inStyle } from './project-style.ts'
import { type NewProperty, schemaCode } from './properties.ts'
import { loadTemplate, renderFiles } from './templates.ts'
import type { NewFile } from './write-files.ts'

/** A message that is to be declared. */
export interface NewMessage {
  readonly names: TypeNames
  readonly kind: MessageKind
  readonly properties: readonly NewProperty[]
  /** Relative to the project; empty for the project folder itself. */
  readonly folder: string
}

export const kindText = (kind: MessageKind, isReply: boolean): string => (kind === 'message' && isReply ? 'reply' : kind)

/** The file that declares the message, in the style of the project. */
export async function messageFile(root: string, message: NewMessage, style: ProjectStyle): Promise<NewFile> {
  const helpers = [...new Set(message.properties.flatMap(({ helper }) => helper ?? []))].toSorted()
  const [file] = renderFiles(await loadTemplate('message', root), {
    file: message.names.file,
    ext: style.extension,
    kind: message.kind,
    Message: message.names.short,
    FullName: message.names.full,
    helpers: helpers.length === 0 ? '' : `import { ${helpers.join(', ')} } from 'nsbus/zod'`,
    properties: schemaCode(message.properties),
  })
  const { path, text } = file as { path: string; text: string }
  return {
    path: message.folder === '' ? path : `${message.folder}/${path}`,
    content: inStyle(text, style),
    type: `${message.names.full} (${kindText(message.kind, true)})`,
  }
}

/** The message as if it were declared already. */
export function asKnown(message: NewMessage, file: NewFile): KnownMessage {
  return {
    name: message.names.short,
    fullName: message.names.full,
    kind: message.kind,
    file: file.path,
    isConstant: false,
    properties: message.properties,
  }
}
