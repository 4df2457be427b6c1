import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const neverEntered = new Set(['node_modules', 'dist'])
const neverMeant = /\.d\.[cm]?ts$|\.(?:test|spec)(?:-d)?\.[cm]?[jt]s$/

/**
 * The files a glob means, sorted by path: `*` and `?` stay inside a folder, `**` does not, `{a,b}` is either.
 *
 * Folders called node_modules or dist and those that begin with a dot are entered only when the glob begins with their name;
 * declarations and tests are never meant.
 *
 * @param root what the glob is relative to
 * @returns absolute paths
 */
export async function findFiles(root: string, glob: string): Promise<readonly string[]> {
  const parts = glob.replace(/^(?:\.\/)+/, '').split('/')
  const firstPattern = parts.findIndex((part, index) => /[*?{}]/.test(part) || index === parts.length - 1)
  const start = resolve(root, ...parts.slice(0, firstPattern))
  const pattern = globPattern(parts.slice(firstPattern).join('/'))
  const found = await filesBelow(start, '')
  return found
    .filter((path) => pattern.test(path) && !neverMeant.test(path))
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((path) => join(start, path))
}

async function filesBelow(start: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(start, folder), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = `${folder}${entry.name}`
      if (entry.isDirectory()) return entry.name.startsWith('.') || neverEntered.has(entry.name) ? [] : filesBelow(start, `${path}/`)
      const isFile = entry.isFile() || (entry.isSymbolicLink() && (await stat(join(start, path)).catch(() => undefined))?.isFile() === true)
      return isFile ? [path] : []
    }),
  )
  return found.flat()
}

/** A glob as a regular expression over a path with forward slashes. */
export function globPattern(glob: string): RegExp {
  let depth = 0
  const source = glob.replace(/\*\*\/|\*\*|[*?{},]|[.+^$()|[\]\\]/g, (sign) => {
    switch (sign) {
      case '**/':
        return '(?:[^/]+/)*'
      case '**':
        return '.*'
      case '*':
        return '[^/]*'
      case '?':
        return '[^/]'
      case '{':
        depth++
        return '(?:'
      case '}':
        if (depth === 0) return '\\}'
        depth--
        return ')'
      case ',':
        return depth > 0 ? '|' : ','
      default:
        return `\\${sign}`
    }
  })
  return new RegExp(`^${source}${')'.repeat(depth)}$`)
}
