import { access, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import { type Merged, mergeLevels } from './config/levels.ts'
import { type BrokerChoice, brokerOf, connectionKeys } from './profile/broker-choice.ts'
import { type Profile, parseProjectFile, projectFileName } from './project-file.ts'
import { nearest } from '../message/nearest.ts'
import type { Consent } from './trust/trust.ts'

/** A value, and which of flag, environment, nsb.json or default it comes from. */
export interface Setting<T> {
  readonly value: T
  readonly origin: string
}

/** What nsb.json says, and below it the user's own file; without nsb.json `folder` is the working directory. */
export interface Project extends Merged {
  /** What paths and globs of nsb.json are relative to. */
  readonly folder: string
  /** The file itself; undefined when there is none. */
  readonly file: string | undefined
  /** The folder of the user's own file; undefined: none is read. */
  readonly userFolder?: string | undefined
  /** Who is asked before what is somebody else's runs; undefined: nobody can be. */
  readonly consent?: Consent | undefined
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** The nsb.json upwards from a folder to the repository root (the folder with `.git`) or the file system root. */
export async function findProjectFile(from: string): Promise<string | undefined> {
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const file = join(folder, projectFileName)
    if (await exists(file)) return file
    if (folder === dirname(folder) || (await exists(join(folder, '.git')))) return undefined
  }
}

/**
 * Finds and reads nsb.json, upwards from a folder.
 *
 * @param userFile settings below those of the project; it need not exist
 * @param consent who is asked before what is somebody else's runs
 * @throws {NsbError} NSB_CONFIG_INVALID with file, line and column
 */
export async function findProject(from: string, userFile?: string, consent?: Consent): Promise<Project> {
  const file = await findProjectFile(from)
  const folder = file === undefined ? resolve(from) : dirname(file)
  const own = (file === undefined ? undefined : await textOf(file)) ?? '{}'
  const below = userFile === undefined ? undefined : await textOf(userFile)
  const merged = mergeLevels(
    { file: file ?? projectFileName, folder, content: parseProjectFile(own, file ?? projectFileName) },
    userFile === undefined || below === undefined
      ? undefined
      : { file: userFile, folder: dirname(userFile), content: parseProjectFile(below, userFile) },
  )
  return { ...merged, folder, file, userFolder: userFile && dirname(userFile), consent }
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new NsbError({ code: 'NSB_CONFIG_INVALID', message: `'${file}' cannot be read: ${error.message}`, cause: error })
  })
}

/** What was given on the command line or in the environment. */
export interface ConnectionChoice {
  readonly profile?: Setting<string>
  readonly transport?: Setting<string>
  readonly storage?: Setting<string>
  readonly connection?: Setting<string>
  /** Used when RabbitMQ is chosen and nothing else names a connection. */
  readonly fallback?: Setting<string>
}

/** Which transport to open, with the origin of every part. */
export interface Connection {
  readonly profile: Setting<string>
  readonly transport: Setting<string>
  /** Of the learning transport; undefined: to be found by the walk from the project folder. */
  readonly storage: Setting<string> | undefined
  /** Of the RabbitMQ transport; undefined for every other. */
  readonly broker: BrokerChoice | undefined
  /** Writing commands want the profile's name. */
  readonly protect: boolean
  /** What a look of an error queue keeps for ten minutes has bodies. */
  readonly keepsBodies: boolean
}

const byFlag = ({ origin }: Setting<string>): boolean => origin.startsWith('--')

/**
 * Chooses the connection: flag, then environment, then the profile of nsb.json or the user's file, then the learning transport.
 * A connection text means RabbitMQ.
 *
 * @param workingDirectory what given paths are relative to; those of nsb.json are relative to its folder
 * @throws {NsbError} NSB_UNKNOWN_PROFILE, NSB_CONFLICTING_OPTIONS
 */
export function chooseConnection(project: Project, choice: ConnectionChoice, workingDirectory: string): Connection {
  const name = chosenProfile(project, choice.profile)
  const profile = Object.hasOwn(project.profiles, name.value) ? project.profiles[name.value] : undefined
  if (profile === undefined && name.value !== 'default') throw unknownProfile(project, name)

  const given = withoutContradiction(choice)
  const ofProfile = (key: string): string => `profile '${name.value}' in ${project.origins[`profiles.${name.value}.${key}`]}`
  const transport = given.transport ?? transportOf(profile ?? {}, ofProfile)
  const storage: Setting<string> | undefined =
    given.storage === undefined
      ? profile?.storage === undefined
        ? undefined
        : { value: resolve(project.folder, profile.storage), origin: ofProfile('storage') }
      : { value: resolve(workingDirectory, given.storage.value), origin: given.storage.origin }
  return {
    profile: name,
    transport,
    storage,
    broker:
      transport.value === 'rabbitmq'
        ? brokerOf(project, { name: name.value, profile: profile ?? {}, chosenBy: transport.origin }, given)
        : undefined,
    protect: profile?.protect === true,
    keepsBodies: profile?.keepBodies !== false,
  }
}

/** The one that was given, else the one chosen with `nsb profile use`. */
function chosenProfile(project: Project, given: Setting<string> | undefined): Setting<string> {
  if (given !== undefined) return given
  const place = project.file === undefined ? '*' : project.folder
  const used = Object.hasOwn(project.uses, place) ? project.uses[place] : undefined
  return used === undefined
    ? { value: 'default', origin: 'default' }
    : { value: used, origin: `nsb profile use, in ${project.origins[`uses.${place}`]}` }
}

/** A flag overrules the environment; two that contradict each other at the same level are refused. */
function withoutContradiction(given: ConnectionChoice): ConnectionChoice {
  const { connection, storage, transport } = given
  if (connection === undefined) return given
  const other = transport ?? (storage && byFlag(storage) ? { value: 'learning', origin: storage.origin } : undefined)
  const implied = { value: 'rabbitmq', origin: connection.origin }
  if (other === undefined || other.value === 'rabbitmq') return { ...given, transport: transport ?? implied }
  if (byFlag(connection) === byFlag(other))
    throw new NsbError({
      code: 'NSB_CONFLICTING_OPTIONS',
      message: `${connection.origin} means RabbitMQ, and ${other.origin} means the ${other.value} transport.`,
      suggestions: ['Give one of them'],
    })
  if (byFlag(connection)) return { ...given, transport: implied }
  const { connection: _overruled, ...rest } = given
  return { ...rest, transport: other }
}

function transportOf(profile: Profile, ofProfile: (key: string) => string): Setting<string> {
  if (profile.transport !== undefined) return { value: profile.transport, origin: ofProfile('transport') }
  const implying = connectionKeys.find((key) => profile[key] !== undefined)
  return implying === undefined ? { value: 'learning', origin: 'default' } : { value: 'rabbitmq', origin: ofProfile(implying) }
}

function unknownProfile(project: Project, name: Setting<string>): NsbError {
  const known = Object.keys(project.profiles)
  const meant = nearest(name.value, known)
  return new NsbError({
    code: 'NSB_UNKNOWN_PROFILE',
    message: `There is no profile '${name.value}' (${name.origin}) in ${project.file ?? 'nsb.json, and no nsb.json was found'}.`,
    suggestions:
      meant.length > 0
        ? [`Did you mean '${meant[0]}'?`]
        : known.length > 0
          ? [`Known profiles: ${known.map((each) => `'${each}'`).join(', ')}`]
          : [],
    details: { profile: name.value, known },
  })
}
