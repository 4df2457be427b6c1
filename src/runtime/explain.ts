import { messageSymbol } from '../message/declaration.ts'
import type { Mapping, TypeMap } from '../message/type-map.ts'
import type { HandlerTable, RegisteredHandler } from './handlers.ts'

/** How a type header is mapped, and who would run. */
export interface Explanation extends Mapping {
  readonly handlers: readonly { readonly type: string; readonly handlers: readonly RegisteredHandler[] }[]
}

/** @throws {BadTypeHeaderError} NSB_BAD_TYPE_HEADER */
export function explain(types: TypeMap, handlers: HandlerTable, header: string): Explanation {
  const mapping = types.map(header)
  const also = mapping.alsoAs.map((type) => type[messageSymbol])
  return {
    ...mapping,
    handlers: mapping.roots.map((type) => ({ type: type[messageSymbol].fullName, handlers: handlers.matching(type[messageSymbol], also) })),
  }
}
