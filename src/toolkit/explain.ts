import { TypeMap } from '../message/type-map.ts'
import { type Explanation, explain } from '../runtime/explain.ts'
import { HandlerTable, registerHandlers } from '../runtime/handlers.ts'
import type { ProjectCode } from './project-code.ts'

/**
 * How the endpoint of a project would map a type header, without starting it.
 *
 * @throws {BadTypeHeaderError} NSB_BAD_TYPE_HEADER
 */
export function explainHeader({ definition, files }: ProjectCode, header: string): Explanation {
  const handlers = new HandlerTable(registerHandlers([...(definition.first ?? []), ...definition.handlers], { files }))
  const types = new TypeMap([...handlers.all.map((handler) => handler.type), ...(definition.messages ?? [])], {
    enclosedTypes: definition.enclosedTypes ?? 'strict',
  })
  return explain(types, handlers, header)
}
