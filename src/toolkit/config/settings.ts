import { nearest } from '../../message/nearest.ts'
import { NsbError } from '../../message/nsb-error.ts'
import type { Project } from '../project.ts'
import { profileKeys } from '../project-file.ts'
import { type Value, flatten } from './levels.ts'
import { commandWithoutPasswords, hostWithoutPassword, variableWithoutPassword, withoutPassword, withoutPasswords } from './secrets.ts'

/** A setting as it is shown: without passwords, and with the place it comes from. */
export interface ShownSetting {
  readonly key: string
  readonly value: Value
  /** A flag, a variable of the environment, a file, or `default`. */
  readonly origin: string
}

type Kind = 'text' | 'texts' | 'count' | 'boolean' | 'duration'

const endpointKeys: Readonly<Record<string, Kind>> = {
  name: 'text',
  handlers: 'text',
  messages: 'text',
  errorQueue: 'text',
  auditQueue: 'text',
  'recoverability.immediateRetries': 'count',
  'recoverability.delayedRetries': 'count',
  'recoverability.delayIncrease': 'duration',
}

const defaults: Readonly<Record<string, Value>> = {
  'endpoint.errorQueue': 'error',
  'endpoint.recoverability.immediateRetries': 5,
  'endpoint.recoverability.delayedRetries': 3,
  'endpoint.recoverability.delayIncrease': '10s',
  'profiles.default.transport': 'learning',
}

/** Every setting of the files, and the defaults of what they leave out. */
export function settingsOf(project: Project): readonly ShownSetting[] {
  const found = flatten(project).map(([key, value]) => ({
    // A key may be anything too.
    key: withoutPasswords(key),
    value: shown(key, value),
    origin: project.origins[key] ?? 'default',
  }))
  const missing = Object.entries(defaults).filter(([key]) => !found.some((each) => each.key === key))
  return [...found, ...missing.map(([key, value]) => ({ key, value, origin: 'default' }))].toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

/** A setting as it may be shown, whatever somebody wrote into it. */
export function shown(key: string, value: Value): Value {
  if (typeof value === 'number' || typeof value === 'boolean') return value
  const last = key.startsWith('profiles.') ? key.slice(key.lastIndexOf('.') + 1) : ''
  if (last === 'connection' || last === 'management') return withoutPassword(String(value))
  if (last === 'hosts') return [value].flat().map(hostWithoutPassword)
  if (last === 'connectionCommand') return commandWithoutPasswords(String(value))
  if (last.endsWith('Env')) return variableWithoutPassword(String(value))
  return typeof value === 'string' ? withoutPasswords(value) : value.map(withoutPasswords)
}

/** Where a setting stands in the file, and what it may be. */
export interface SettingKey {
  readonly path: readonly string[]
  readonly kind: Kind
}

/** @throws {NsbError} NSB_CONFIG_INVALID for a key that nsb.json does not have, with the nearest */
export function settingKey(key: string): SettingKey {
  const [section = '', ...rest] = key.split('.')
  const below = rest.join('.')
  const endpointKind = Object.hasOwn(endpointKeys, below) ? endpointKeys[below] : undefined
  if (section === 'endpoint' && endpointKind !== undefined) return { path: ['endpoint', ...rest], kind: endpointKind }
  if ((section === 'routing' || section === 'redirects') && below !== '') return { path: [section, below], kind: 'text' }
  // The name of a profile may have dots in it, its keys have none.
  const [name, last = ''] = [rest.slice(0, -1).join('.'), rest.at(-1)]
  const profileKind = Object.hasOwn(profileKeys, last) ? profileKeys[last as keyof typeof profileKeys] : undefined
  if (section === 'profiles' && name !== '' && profileKind !== undefined)
    return { path: ['profiles', name, last], kind: typeof profileKind === 'string' ? profileKind : 'text' }
  const profile = section === 'profiles' && name !== '' ? name : 'default'
  const known = [
    ...Object.keys(endpointKeys).map((each) => `endpoint.${each}`),
    ...Object.keys(profileKeys).map((each) => `profiles.${profile}.${each}`),
  ]
  const meant = nearest(key, known)
  throw new NsbError({
    code: 'NSB_CONFIG_INVALID',
    message: `There is no setting '${key}'.`,
    suggestions:
      meant.length > 0
        ? meant.map((each) => `Did you mean '${each}'?`)
        : ['routing.<type>, redirects.<queue>, endpoint.<key> or profiles.<name>.<key>'],
    details: { key, known },
  })
}

/** The value that a text on the command line means. @throws {NsbError} NSB_CONFIG_INVALID */
export function settingValue(key: string, kind: Kind, text: string): Value {
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  if (kind === 'count' && /^\d{1,9}$/.test(text)) return Number(text)
  const items = text.split(',').map((each) => each.trim())
  if (kind === 'texts' && !items.includes('')) return items
  if ((kind === 'text' && text.trim() !== '') || kind === 'duration') return text
  const wanted = {
    text: 'a text that is not empty',
    texts: 'texts that are not empty, with commas between',
    boolean: 'true or false',
    count: 'a whole number from 0',
  }[kind]
  throw new NsbError({
    code: 'NSB_CONFIG_INVALID',
    // What is given for hosts may hold a password.
    message: `'${key}' must be ${wanted}${kind === 'texts' ? '' : `, is '${text}'`}.`,
    details: { key },
  })
}
