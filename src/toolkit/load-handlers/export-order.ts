/**
 * Sorts exported names by where they are declared in the file. Bundlers and namespace objects sort them by alphabet, and handler order
 * is the order in the file.
 *
 * @param code the file as JavaScript without types and comments
 */
export function inOrderOfAppearance(names: readonly string[], code: string): readonly string[] {
  const locals = localNames(code)
  const position = (name: string): number => {
    const declared = declarationOf(locals.get(name) ?? name, code)
    const at = declared >= 0 ? declared : name === 'default' ? code.search(/\bexport\s+default\b/) : mentionInClause(name, code)
    return at < 0 ? code.length : at
  }
  return names.toSorted((a, b) => position(a) - position(b) || (a < b ? -1 : 1))
}

/** `export { Local as Exported }` gives Exported -> Local. */
function localNames(code: string): ReadonlyMap<string, string> {
  const clauses = [...code.matchAll(/\bexport\s*\{([^}]*)\}/g)].flatMap(([, list = '']) => list.split(','))
  return new Map(
    clauses.map((part) => {
      const [local = '', exported = local] = part.trim().split(/\s+as\s+/)
      return [exported, local]
    }),
  )
}

function declarationOf(name: string, code: string): number {
  return code.search(
    new RegExp(`(?:\\b(?:class|function|const|let|var)\\s+|\\bfunction\\s*\\*\\s*|,\\s*)${name.replaceAll('$', '\\$')}(?![\\w$])`),
  )
}

function mentionInClause(name: string, code: string): number {
  return code.search(new RegExp(`\\bexport\\s*\\{[^}]*(?<![\\w$])${name.replaceAll('$', '\\$')}(?![\\w$])`))
}
