import { NsbError, errorText } from '../message/nsb-error.ts'
import { parseDuration } from '../message/wire-formats.ts'
import { lineAndColumn, parseWithPositions, pathStep } from './json-positions.ts'
import { nearest } from '../message/nearest.ts'

export const projectFileName = 'nsb.json'

/** The `endpoint` of nsb.json. */
export interface EndpointSettings {
  readonly name?: string
  /** Glob of the handler files. */
  readonly handlers?: string
  /** Glob of the message files. */
  readonly messages?: string
  readonly errorQueue?: string
  readonly auditQueue?: string
  readonly recoverability: {
    readonly immediateRetries?: number
    readonly delayedRetries?: number
    readonly delayIncreaseMs?: number
  }
}

/** One of the `profiles` of nsb.json. */
export interface Profile {
  readonly transport?: string
  /** Learning: the storage folder. */
  readonly storage?: string
  /** RabbitMQ: one of four ways to say how to connect. */
  readonly connection?: string
  readonly connectionEnv?: string
  readonly connectionFile?: string
  readonly connectionCommand?: string
  /** Address of the management API. */
  readonly management?: string
  readonly managementEnv?: string
  readonly topology?: string
  /** Of the queues that are created. */
  readonly queueType?: string
  /** Further nodes of the cluster. */
  readonly hosts?: readonly string[]
  /** Files of certificates. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  readonly pfx?: string
  readonly passphraseEnv?: string
  readonly externalAuth?: boolean
  readonly verify?: boolean
  readonly protect?: boolean
  readonly keepBodies?: boolean
}

type ProfileKind = 'text' | 'texts' | 'boolean' | readonly string[]

/** Every key of a profile, and what it may be; a list is that of its values. */
export const profileKeys: Readonly<Record<keyof Profile, ProfileKind>> = {
  transport: 'text',
  storage: 'text',
  connection: 'text',
  connectionEnv: 'text',
  connectionFile: 'text',
  connectionCommand: 'text',
  management: 'text',
  managementEnv: 'text',
  topology: ['conventional', 'direct'],
  queueType: ['quorum', 'classic'],
  hosts: 'texts',
  ca: 'text',
  certificate: 'text',
  key: 'text',
  pfx: 'text',
  passphraseEnv: 'text',
  externalAuth: 'boolean',
  verify: 'boolean',
  protect: 'boolean',
  keepBodies: 'boolean',
}

/** The content of nsb.json, checked. */
export interface ProjectFile {
  readonly endpoint: EndpointSettings
  /** Full type name, or `Namespace.*`, to endpoint name. */
  readonly routing: Readonly<Record<string, string>>
  /** Queue in a failed message to the queue that took over from it. */
  readonly redirects: Readonly<Record<string, string>>
  readonly profiles: Readonly<Record<string, Profile>>
  /** In the user's own file: the profile chosen for the project in a folder; `*` where there is no project. */
  readonly uses: Readonly<Record<string, string>>
  /** Unknown keys, with the one that was probably meant. */
  readonly warnings: readonly string[]
}

const endpointTexts = ['name', 'handlers', 'messages', 'errorQueue', 'auditQueue'] as const

/** Keys of `recoverability`, the short ones being aliases. */
const retryKeys = { immediateRetries: 'immediate', delayedRetries: 'delayed', delayIncrease: 'delay' } as const

/**
 * Reads the text of nsb.json.
 *
 * @throws {NsbError} NSB_CONFIG_INVALID with file, line and column
 */
export function parseProjectFile(text: string, file: string): ProjectFile {
  const parsed = parseWithPositions(text)
  const invalid = (problem: string, offset: number, cause?: unknown): NsbError => {
    const { line, column } = lineAndColumn(text, offset)
    return new NsbError({
      code: 'NSB_CONFIG_INVALID',
      message: `${file}:${line}:${column}: ${problem}`,
      suggestions: ['Correct it there; with "$schema": "./node_modules/nsbus/nsb.schema.json" an editor shows what is allowed'],
      details: { file, line, column },
      cause,
    })
  }
  if ('problem' in parsed) throw invalid(`not valid JSON: ${parsed.problem}.`, parsed.offset)

  const warnings: string[] = []
  const wrong = (path: string, wanted: string, value: unknown): NsbError =>
    invalid(
      // What is given for a connection may hold a password, wherever it was put.
      `${path === '' ? 'the file' : `'${path.slice(1).replaceAll('/', '.')}'`} must be ${wanted}${isWord(value) || !path.startsWith('/profiles') ? `, is ${JSON.stringify(value)?.slice(0, 80)}` : ''}.`,
      parsed.offsets.get(path) ?? 0,
    )

  const object = (value: unknown, path: string, known?: readonly string[]): Record<string, unknown> => {
    if (value === undefined) return {}
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'an object', value)
    for (const key of known === undefined ? [] : Object.keys(value)) {
      if (known?.includes(key)) continue
      const { line, column } = lineAndColumn(text, parsed.offsets.get(`${path}${pathStep(key)}#key`) ?? 0)
      const meant = nearest(key, known ?? [])[0]
      warnings.push(`${file}:${line}:${column}: unknown key '${key}'.${meant === undefined ? '' : ` Did you mean '${meant}'?`}`)
    }
    return value as Record<string, unknown>
  }
  const texts = (from: Record<string, unknown>, path: string, keys: readonly string[]): Record<string, string> =>
    Object.fromEntries(
      keys.flatMap((key): [string, string][] => {
        if (!Object.hasOwn(from, key)) return []
        const value = from[key]
        if (!isFilled(value)) throw wrong(path + pathStep(key), textThatIsWanted(value), value)
        return [[key, value]]
      }),
    )
  const map = (value: unknown, path: string): Record<string, string> => {
    const from = object(value, path)
    return texts(from, path, Object.keys(from))
  }

  const retries = (value: unknown, path: string): EndpointSettings['recoverability'] => {
    const from = object(value, path, Object.entries(retryKeys).flat())
    const pick = (key: keyof typeof retryKeys): { value: unknown; path: string } | undefined => {
      const name = Object.hasOwn(from, key) ? key : Object.hasOwn(from, retryKeys[key]) ? retryKeys[key] : undefined
      return name === undefined ? undefined : { value: from[name], path: path + pathStep(name) }
    }
    const count = (key: 'immediateRetries' | 'delayedRetries'): Record<string, number> => {
      const found = pick(key)
      if (found === undefined) return {}
      if (typeof found.value !== 'number' || !Number.isInteger(found.value) || found.value < 0)
        throw wrong(found.path, 'a whole number from 0', found.value)
      return { [key]: found.value }
    }
    const increase = pick('delayIncrease')
    if (increase !== undefined && typeof increase.value !== 'string') throw wrong(increase.path, `a duration such as "10s"`, increase.value)
    return {
      ...count('immediateRetries'),
      ...count('delayedRetries'),
      ...(increase === undefined ? {} : { delayIncreaseMs: duration(increase.value as string, increase.path) }),
    }
  }
  const duration = (value: string, path: string): number => {
    try {
      return parseDuration(value)
    } catch (error) {
      throw invalid(errorText(error), parsed.offsets.get(path) ?? 0, error)
    }
  }
  const profile = (value: unknown, path: string): Profile => {
    const from = object(value, path, Object.keys(profileKeys))
    const checked = Object.entries(profileKeys).flatMap(([key, kind]): [string, unknown][] => {
      if (!Object.hasOwn(from, key)) return []
      const [found, at] = [from[key], path + pathStep(key)]
      if (kind === 'boolean' && typeof found !== 'boolean') throw wrong(at, 'true or false', found)
      if (kind === 'texts' && !isTexts(found)) throw wrong(at, 'a list of texts', found)
      if (kind === 'text' && !isFilled(found)) throw wrong(at, textThatIsWanted(found), found)
      if (typeof kind !== 'string' && !kind.includes(found as string)) throw wrong(at, kind.map((each) => `"${each}"`).join(' or '), found)
      return [[key, found]]
    })
    return Object.fromEntries(checked)
  }

  const whole = object(parsed.value, '', ['$schema', 'endpoint', 'routing', 'redirects', 'profiles', 'uses', 'workspaces'])
  const endpoint = object(whole['endpoint'], '/endpoint', [...endpointTexts, 'recoverability'])
  const profiles = object(whole['profiles'], '/profiles')
  return {
    endpoint: {
      ...texts(endpoint, '/endpoint', endpointTexts),
      recoverability: retries(endpoint['recoverability'], '/endpoint/recoverability'),
    },
    routing: map(whole['routing'], '/routing'),
    redirects: map(whole['redirects'], '/redirects'),
    profiles: Object.fromEntries(Object.entries(profiles).map(([name, value]) => [name, profile(value, `/profiles${pathStep(name)}`)])),
    uses: map(whole['uses'], '/uses'),
    warnings,
  }
}

/** A word or a number, which is no connection. */
const isWord = (value: unknown): boolean => !/[^\w.-]/.test(String(value))

const textThatIsWanted = (instead: unknown): string => (typeof instead === 'string' ? 'a text that is not empty' : 'text')

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string')
}
