import { realpathSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

/** Is it in `/proc`? Making a folder there fails as if the one above it were missing, and Node's recursive `mkdir` tries again for ever. */
export function holdsNoFolders(folder: string, platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'linux' && `${withoutLinks(resolve(folder))}/`.startsWith('/proc/')
}

/** Makes a folder that a user named, and those above it. @returns the first that was not there @throws what `mkdir` does, which ends here */
export async function makeFolder(folder: string, mode?: number): Promise<string | undefined> {
  if (holdsNoFolders(folder))
    throw Object.assign(new Error(`EPERM: no folder can be made in /proc, mkdir '${folder}'`), {
      code: 'EPERM',
      syscall: 'mkdir',
      path: folder,
    })
  return mkdir(folder, { recursive: true, mode })
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
