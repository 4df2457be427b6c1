/**
 * The type name that Newtonsoft writes into a body (`TypeNameHandling`): used as a name, nothing is made from it.
 *
 * @returns undefined when the body is no JSON object with a `$type`
 */
export function typeNameInBody(body: Uint8Array): string | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (!bytes.includes('$type')) return undefined
  try {
    const tree = JSON.parse(bytes.toString('utf8').replace(/^\uFEFF/, '')) as unknown
    const root = (Array.isArray(tree) && tree.length === 1 ? tree[0] : tree) as unknown
    if (typeof root !== 'object' || root === null || !Object.hasOwn(root, '$type')) return undefined
    const name = (root as { $type: unknown }).$type
    return typeof name === 'string' ? name : undefined
  } catch {
    return undefined
  }
}
