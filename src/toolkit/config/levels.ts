import { resolve } from 'node:path'
import type { Profile, ProjectFile } from '../project-file.ts'

/** A configuration file: that of the project, or that of the user below it. */
export interface Level {
  readonly file: string
  /** What its paths are relative to. */
  readonly folder: string
  readonly content: ProjectFile
}

/** Settings of several levels as one. */
export interface Merged extends ProjectFile {
  /** The file each setting comes from, by its key, such as `profiles.prod.transport`. */
  readonly origins: Readonly<Record<string, string>>
}

/** Ways to say the same: the level that has one of them says it alone. */
const alternatives: readonly (readonly (keyof Profile)[])[] = [
  ['connection', 'connectionEnv', 'connectionFile', 'connectionCommand'],
  ['management', 'managementEnv'],
]

/** The project's file over the user's. */
export function mergeLevels(project: Level, user: Level | undefined): Merged {
  const own = project.content
  const misplaced = Object.keys(own.uses).length > 0 ? [`${project.file}: 'uses' counts in the user's own file only.`] : []
  if (user === undefined) return { ...own, uses: {}, warnings: [...own.warnings, ...misplaced], origins: originsOf(own, project.file) }
  const below = user.content
  const names = [...new Set([...Object.keys(below.profiles), ...Object.keys(own.profiles)])]
  const merged: ProjectFile = {
    endpoint: {
      ...below.endpoint,
      ...own.endpoint,
      recoverability: { ...below.endpoint.recoverability, ...own.endpoint.recoverability },
    },
    routing: { ...below.routing, ...own.routing },
    redirects: { ...below.redirects, ...own.redirects },
    profiles: Object.fromEntries(
      names.map((name) => [name, mergeProfiles(profileOf(own, name), absolute(profileOf(below, name), user.folder))]),
    ),
    // Who uses what is nobody else's business, so a project cannot say it.
    uses: below.uses,
    warnings: [...own.warnings, ...misplaced, ...below.warnings],
  }
  const origins = { ...originsOf(below, user.file), ...originsOf(own, project.file) }
  const uses = entries('uses', below.uses).map(([key]) => [key, user.file] as const)
  return { ...merged, origins: Object.fromEntries([...flatten(merged).map(([key]) => [key, origins[key] ?? project.file]), ...uses]) }
}

const profileOf = ({ profiles }: ProjectFile, name: string): Profile => (Object.hasOwn(profiles, name) ? (profiles[name] ?? {}) : {})

const paths = ['storage', 'connectionFile', 'ca', 'certificate', 'key', 'pfx'] as const

function absolute(profile: Profile, folder: string): Profile {
  const found = paths.flatMap((key) => (profile[key] === undefined ? [] : [[key, resolve(folder, profile[key])]]))
  return { ...profile, ...Object.fromEntries(found) }
}

function mergeProfiles(own: Profile, below: Profile): Profile {
  const hidden = new Set<string>(alternatives.filter((keys) => keys.some((key) => own[key] !== undefined)).flat())
  const merged = { ...Object.fromEntries(Object.entries(below).filter(([key]) => !hidden.has(key))), ...own }
  // What a user protects, a project cannot lay bare.
  return {
    ...merged,
    ...(below.protect === true && { protect: true }),
    ...(below.keepBodies === false && { keepBodies: false }),
  }
}

function originsOf(content: ProjectFile, file: string): Record<string, string> {
  return Object.fromEntries(flatten(content).map(([key]) => [key, file]))
}

export type Value = string | number | boolean | readonly string[]

/** Every setting with its key, as `nsb config` writes it. */
export function flatten({ endpoint, profiles, redirects, routing }: ProjectFile): readonly (readonly [string, Value])[] {
  const { recoverability, ...plain } = endpoint
  const { delayIncreaseMs, ...counts } = recoverability
  return [
    ...entries('endpoint', plain),
    ...entries('endpoint.recoverability', {
      ...counts,
      ...(delayIncreaseMs !== undefined && { delayIncrease: durationText(delayIncreaseMs) }),
    }),
    ...entries('routing', routing),
    ...entries('redirects', redirects),
    ...Object.entries(profiles).flatMap(([name, profile]) => entries(`profiles.${name}`, profile)),
  ]
}

function entries(prefix: string, from: object): readonly (readonly [string, Value])[] {
  return Object.entries(from).map(([key, value]) => [`${prefix}.${key}`, value as Value])
}

/** `10s`: the largest unit that gives a whole number. */
function durationText(ms: number): string {
  const [unit, size] = (
    [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1000],
      ['ms', 1],
    ] as const
  ).find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}
