import { homedir } from 'node:os'
import { join } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import { holdsNoFolders } from '../transport/making-folders.ts'

/**
 * Where nsb keeps what it remembers between two commands: NSB_STATE_DIR, else the user's own folder for such things.
 *
 * @throws {NsbError} NSB_BAD_STATE_DIR
 */
export function stateFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform, home: string = homedir()): string {
  const { LOCALAPPDATA, NSB_STATE_DIR, XDG_STATE_HOME } = env
  if (NSB_STATE_DIR) return checked(NSB_STATE_DIR, 'from NSB_STATE_DIR', platform)
  if (XDG_STATE_HOME?.startsWith('/')) return checked(join(XDG_STATE_HOME, 'nsb'), 'from XDG_STATE_HOME', platform)
  if (platform === 'win32') return join(LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'nsb', 'state')
  return checked(join(home, '.local', 'state', 'nsb'), 'in the home folder', platform)
}

function checked(folder: string, origin: string, platform: NodeJS.Platform): string {
  if (!holdsNoFolders(folder, platform)) return folder
  throw new NsbError({
    code: 'NSB_BAD_STATE_DIR',
    message: `The state folder is '${folder}' (${origin}), and no folder can be made in /proc.`,
    suggestions: ['Name a folder that can be written to: NSB_STATE_DIR=<folder>'],
    details: { folder, origin },
  })
}
