import { type MessageDefinition, definitionOf, sameType } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { Route } from './definition.ts'

/** Finds the owner of a command. There is no inheritance: a route for a base type does not route what derives from it. */
export class Routing {
  readonly #routes: readonly Route[]
  readonly #found = new Map<MessageDefinition, string | undefined>()

  /** @throws {NsbError} NSB_DUPLICATE_ROUTE */
  constructor(routes: readonly Route[]) {
    this.#routes = routes
    const seen = new Map<string, string>()
    for (const { match, destination } of routes) {
      const key = keyOf(match)
      const earlier = seen.get(key)
      if (earlier !== undefined && earlier !== destination)
        throw new NsbError({
          code: 'NSB_DUPLICATE_ROUTE',
          message: `Route for type ${key} already exists: it goes to '${earlier}', and a second one to '${destination}'.`,
          suggestions: ['Keep one: a command has one owner'],
        })
      seen.set(key, destination)
    }
  }

  destinationOf(definition: MessageDefinition): string | undefined {
    if (!this.#found.has(definition)) this.#found.set(definition, this.#find(definition))
    return this.#found.get(definition)
  }

  #find(definition: MessageDefinition): string | undefined {
    const namespace = namespaceOf(definition.fullName)
    const exact = this.#routes.find(({ match }) =>
      typeof match === 'string' ? match === definition.fullName : sameType(definitionOf(match) as MessageDefinition, definition),
    )
    const texts = this.#routes.filter((route): route is Route & { match: string } => typeof route.match === 'string')
    const byNamespace = texts.findLast(({ match }) => !match.endsWith('*') && match.toLowerCase() === namespace.toLowerCase())
    const patterns = texts.filter(
      ({ match }) => match.endsWith('.*') && `${namespace.toLowerCase()}.`.startsWith(match.slice(0, -1).toLowerCase()),
    )
    const longest = patterns.sort((a, b) => b.match.length - a.match.length)[0]
    return (exact ?? byNamespace ?? longest)?.destination
  }
}

function keyOf(match: Route['match']): string {
  return typeof match === 'string' ? match : (definitionOf(match) as MessageDefinition).fullName
}

function namespaceOf(fullName: string): string {
  const outer = fullName.split('+', 1)[0] as string
  return outer.includes('.') ? outer.slice(0, outer.lastIndexOf('.')) : ''
}
