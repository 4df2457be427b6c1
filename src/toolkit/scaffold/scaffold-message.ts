import { NsbError } from '../../message/nsb-error.ts'
import type { Project } from '../project.ts'
import { declarationOf, findDeclarations } from './find-messages.ts'
import { messageFile } from './message-file.ts'
import { idPropertyOf, kindOf, typeNames } from './names.ts'
import { projectLayout } from './project-layout.ts'
import { projectStyle } from './project-style.ts'
import { parseProperties, property } from './properties.ts'
import { type PlannedFile, folderInside, planFiles } from './write-files.ts'

export interface MessageRequest {
  readonly name: string
  /** `OrderId:guid`, `Note?:string`; without any, one that the name suggests. */
  readonly properties: readonly string[]
  /** Default: an event when the name ends with a participle, else a command. */
  readonly kind?: 'command' | 'event' | 'reply' | undefined
  readonly namespace?: string | undefined
  readonly dir?: string | undefined
  readonly js?: boolean
  readonly force?: boolean
}

/**
 * Plans the declaration of a message; `writeFiles` writes it.
 *
 * @throws {NsbError} NSB_BAD_NAME, NSB_BAD_PROPERTY, NSB_BAD_PATH, and NSB_MESSAGE_EXISTS when another file declares it
 */
export async function planMessage(project: Project, request: MessageRequest): Promise<readonly PlannedFile[]> {
  const layout = projectLayout(project, request.namespace)
  const names = typeNames(request.name, layout.namespace)
  const given = parseProperties(request.properties)
  const kind = request.kind === 'reply' ? 'message' : (request.kind ?? kindOf(names.short))
  const style = await projectStyle(layout.root, request.js === true ? 'js' : 'ts')
  const folder = request.dir === undefined ? layout.messageFolder : folderInside(layout.root, request.dir)
  const properties = given.length > 0 ? given : [property(idPropertyOf(names.short), 'string')]
  const file = await messageFile(layout.root, { names, kind, properties, folder }, style)
  const declared = declarationOf(names.full, await findDeclarations(layout.root, layout.messageGlob))
  if (declared && declared.file !== file.path)
    throw new NsbError({
      code: 'NSB_MESSAGE_EXISTS',
      message: `'${declared.fullName}' is declared already, in ${declared.file}.`,
      suggestions: ['Change it there', 'Choose another name or another --namespace'],
      details: { file: declared.file, type: declared.fullName },
    })
  return planFiles(layout.root, [file], request.force === true)
}
