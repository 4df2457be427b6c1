import { access, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { NsbError } from '../message/nsb-error.ts'
import { type Merged, mergeLevels } from './config/levels.ts'
import { parseProjectFile } from './project-file.ts'
import { nearest } from '../message/nearest.ts'

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
}

export const projectFileName = 'nsb.json'

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
 * @throws {NsbError} NSB_CONFIG_INVALID with file, line and column
 */
export async function findProject(from: string, userFile?: string): Promise<Project> {
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
  return { ...merged, folder, file }
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
}

/** Which transport to open, with the origin of every part. */
export interface Connection {
  readonly profile: Setting<string>
  readonly transport: Setting<string>
  /** Of the learning transport; undefined: to be found by the walk from the project folder. */
  readonly storage: Setting<string> | undefined
  /** Writing commands want the profile's name. */
  readonly protect: boolean
}

/**
 * Chooses the connection: flag, then environment, then the profile of nsb.json or the user's file, then the learning transport.
 *
 * @param workingDirectory what given paths are relative to; those of nsb.json are relative to its folder
 * @throws {NsbError} NSB_UNKNOWN_PROFILE
 */
export function chooseConnection(project: Project, given: ConnectionChoice, workingDirectory: string): Connection {
  const name: Setting<string> = given.profile ?? { value: 'default', origin: 'default' }
  const profile = Object.hasOwn(project.profiles, name.value) ? project.profiles[name.value] : undefined
  if (profile === undefined && name.value !== 'default') throw unknownProfile(project, name)

  const ofProfile = (key: string): string => `profile '${name.value}' in ${project.origins[`profiles.${name.value}.${key}`]}`
  const transport: Setting<string> =
    given.transport ??
    (profile?.transport === undefined
      ? { value: 'learning', origin: 'default' }
      : { value: profile.transport, origin: ofProfile('transport') })
  const storage: Setting<string> | undefined =
    given.storage === undefined
      ? profile?.storage === undefined
        ? undefined
        : { value: resolve(project.folder, profile.storage), origin: ofProfile('storage') }
      : { value: resolve(workingDirectory, given.storage.value), origin: given.storage.origin }
  return { profile: name, transport, storage, protect: profile?.protect === true }
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
