import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Where a user's own settings are, below those of every project.
 *
 * @source XDG Base Directory Specification 0.8: a relative XDG_CONFIG_HOME is ignored
 */
export function userConfigFile(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform, home: string = homedir()): string {
  const { APPDATA, XDG_CONFIG_HOME } = env
  if (XDG_CONFIG_HOME?.startsWith('/')) return join(XDG_CONFIG_HOME, 'nsb', 'config.json')
  if (platform === 'win32') return join(APPDATA ?? join(home, 'AppData', 'Roaming'), 'nsb', 'config.json')
  return join(home, '.config', 'nsb', 'config.json')
}
