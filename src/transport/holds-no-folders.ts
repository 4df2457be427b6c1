import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

/** Is it in `/proc`? Making a folder there fails as if the one above it were missing, and Node's recursive `mkdir` tries again for ever. */
export function holdsNoFolders(folder: string, platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'linux' && `${withoutLinks(resolve(folder))}/`.startsWith('/proc/')
}

/** As far as it is there. */
function withoutLinks(path: string): string {
  try {
    return realpathSync.native(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(withoutLinks(parent), basename(path))
  }
}
