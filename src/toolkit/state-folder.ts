import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where nsb keeps what it remembers between two commands: NSB_STATE_DIR, else the user's own folder for such things. */
export function stateFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform, home: string = homedir()): string {
  const { LOCALAPPDATA, NSB_STATE_DIR, XDG_STATE_HOME } = env
  if (NSB_STATE_DIR) return NSB_STATE_DIR
  if (XDG_STATE_HOME?.startsWith('/')) return join(XDG_STATE_HOME, 'nsb')
  if (platform === 'win32') return join(LOCALAPPDATA ?? join(home, 'AppData', 'Local'), 'nsb', 'state')
  return join(home, '.local', 'state', 'nsb')
}
