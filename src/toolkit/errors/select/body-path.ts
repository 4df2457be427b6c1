import { isUtf8 } from 'node:buffer'
import { NsbError, errorText } from '../../../message/nsb-error.ts'

/** A criterion for bodies. */
export interface BodyPath {
  /** As it was typed. */
  readonly path: string
  /** Does the path find anything? Never in a body that is not JSON. */
  matches(body: Uint8Array): boolean
}

/** What our own serializers read; a path that looks into everything does not go deeper. */
const deepest = 256

/**
 * Compiles a JSONPath (RFC 9535), such as `$.Lines[?@.Quantity > 5]`, `$[?$.Total == 10]` or `$..Sku`. Numbers are compared as JavaScript
 * has them: `1` is `1.0`, and from 17 digits on the nearest ones are the same.
 *
 * @throws {NsbError} NSB_BAD_CRITERION
 */
export async function bodyPath(path: string): Promise<BodyPath> {
  // Loaded only when somebody asks for it.
  const { JSONPathEnvironment } = await import('json-p3')
  let query: ReturnType<InstanceType<typeof JSONPathEnvironment>['compile']>
  try {
    query = new JSONPathEnvironment({ maxRecursionDepth: deepest }).compile(path)
  } catch (error) {
    throw badPath(path, errorText(error), error)
  }
  if (takesPatternFromBody(query)) throw badPath(path, 'the pattern of match() and search() has to be a text')
  return { path, matches: (body) => finds(query, body) }
}

function finds(query: { match(value: never): unknown }, body: Uint8Array): boolean {
  if (body.length === 0 || !isUtf8(body)) return false
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  try {
    return query.match(JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text) as never) !== undefined
  } catch {
    // It is not JSON, or made to exhaust who reads it.
    return false
  }
}

/** A message must never say which regular expression is tried on it: a slow one would stop everything. */
function takesPatternFromBody(node: unknown, seen = new Set<unknown>()): boolean {
  if (typeof node !== 'object' || node === null || seen.has(node)) return false
  seen.add(node)
  if ('name' in node && (node.name === 'match' || node.name === 'search') && 'args' in node && Array.isArray(node.args)) {
    const pattern: unknown = node.args[1]
    if (typeof pattern !== 'object' || pattern === null || !('value' in pattern) || typeof pattern.value !== 'string') return true
  }
  return Object.values(node).some((each) => takesPatternFromBody(each, seen))
}

function badPath(path: string, why: string, cause?: unknown): NsbError {
  return new NsbError({
    code: 'NSB_BAD_CRITERION',
    message: `--body '${path}' is not understood: it should be a JSONPath, such as $.Lines[?@.Quantity > 5]: ${why}.`,
    suggestions: ["Compare: nsb errors list --body '$.OrderId'"],
    cause,
  })
}
