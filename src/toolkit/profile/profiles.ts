import { commandWithoutPasswords, variableWithoutPassword, withoutPassword, withoutPasswords } from '../config/secrets.ts'
import { type ShownSetting, settingsOf } from '../config/settings.ts'
import { type Connection, type Project, type Setting, chooseConnection } from '../project.ts'
import type { SecretSource } from './secret-source.ts'

/** A profile as it is listed; nothing of it has been read or run. */
export interface ListedProfile {
  readonly name: string
  readonly transport: string
  /** Folder, connection without its password, or where the connection comes from; undefined: found when it is needed. */
  readonly where: string | undefined
  /** The file that says so, or `default`. */
  readonly origin: string
  readonly protect: boolean
  /** Is it the one commands use? */
  readonly current: boolean
}

/** Every profile of the files, and `default`, which there always is. */
export function listProfiles(
  project: Project,
  current: string,
  workingDirectory: string,
  env: NodeJS.ProcessEnv,
): readonly ListedProfile[] {
  const names = [...new Set(['default', ...Object.keys(project.profiles)])]
  return names.map((name) => {
    const connection = chooseConnection(project, { profile: { value: name, origin: 'default' } }, workingDirectory)
    const origin = Object.entries(project.origins).find(([key]) => key.startsWith(`profiles.${name}.`))?.[1] ?? 'default'
    return {
      name: withoutPasswords(name),
      transport: withoutPasswords(connection.transport.value),
      where: whereOf(connection, env),
      origin,
      protect: connection.protect,
      current: name === current,
    }
  })
}

function whereOf({ broker, storage, transport }: Connection, env: NodeJS.ProcessEnv): string | undefined {
  if (broker?.connection !== undefined) return describeSource(broker.connection, env)
  return transport.value === 'learning' && storage !== undefined ? withoutPasswords(storage.value) : undefined
}

/** Where a secret is, and what of it may be seen without running anything. */
export function describeSource(source: SecretSource, env: NodeJS.ProcessEnv): string {
  switch (source.kind) {
    case 'text':
      return withoutPassword(source.text)
    case 'environment': {
      const text = env[source.variable]
      return `$${variableWithoutPassword(source.variable)}${text ? ` = ${withoutPassword(text)}` : ', which is not set'}`
    }
    case 'file':
      return withoutPasswords(source.file)
    case 'command':
      return `output of ${commandWithoutPasswords(source.command)}`
  }
}

const brokerDefaults = { topology: 'conventional', queueType: 'quorum', verify: true, keepBodies: true } as const

/** Every setting of one profile with its origin, the defaults included. */
export function showProfile(project: Project, profile: Setting<string>, workingDirectory: string): readonly ShownSetting[] {
  const prefix = `profiles.${profile.value}.`
  const { broker, protect, transport } = chooseConnection(project, { profile }, workingDirectory)
  const own = settingsOf(project)
    .filter(({ key }) => key.startsWith(prefix) && !key.slice(prefix.length).includes('.'))
    .map((setting) => ({ ...setting, key: setting.key.slice(prefix.length) }))
  const missing = Object.entries({
    transport: transport.value,
    ...(broker === undefined ? {} : brokerDefaults),
    protect,
  }).filter(([key]) => !own.some((setting) => setting.key === key))
  return [...own, ...missing.map(([key, value]) => ({ key, value, origin: 'default' }))].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}
