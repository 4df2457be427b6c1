import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'

/**
 * Where nsb keeps what it remembers between two commands: NSB_STATE_DIR, else the user's own folder for such things.
 *
 * @throws {NsbError} NSB_BAD_STATE_DIR
 */
export function stateFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform, home: string = homedir()): string {
  const { LOCALAPPDATA, NSB_STATE_DIR, XDG_STATE_HOME } = env
  if (NSB_STATE_DIR) return checked(NSB_STATE_DIR, platform)
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'nsb')
  if (platform === 'win32') return join(LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'nsb', 'state')
  return join(home, '.local', 'state', 'nsb')
}

/** Making a folder in /proc fails as if the one above it were missing, and Node tries again for ever. */
function checked(folder: string, platform: NodeJS.Platform): string {
  if (platform !== 'linux' || !`${resolve(folder)}/`.startsWith('/proc/')) return folder
  throw new NsbError({
    code: 'NSB_BAD_STATE_DIR',
    message: `NSB_STATE_DIR is '${folder}', and no folder can be made in /proc.`,
    suggestions: ['Name a folder that can be written to: NSB_STATE_DIR=<folder>'],
    details: { folder },
  })
}
