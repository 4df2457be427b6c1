import { resolve } from 'node:path'
import type { Project, Setting } from '../project.ts'
import { type Profile, projectFileName } from '../project-file.ts'
import type { Consent } from '../trust/trust.ts'
import type { SecretSource } from './secret-source.ts'

/** What is known of a broker before anything is read. */
export interface BrokerChoice {
  /** undefined: nothing names one. */
  readonly connection: SecretSource | undefined
  readonly management: SecretSource | undefined
  /** Of a profile whose connection was overruled: it counts if it is of the same broker. */
  readonly otherManagement: SecretSource | undefined
  readonly profile: Profile
  /** What the profile's paths are relative to. */
  readonly folder: string
  /** Why it is RabbitMQ; for people. */
  readonly chosenBy: string
  /**
   * Who says the password: the project's file itself; the project's file by naming where it is; or somebody else, and then what the project's
   * file says must not lead it astray.
   */
  readonly passwordFrom: 'project' | 'namedByProject' | 'elsewhere'
  /** The project's file says these settings, and nobody's own file does. */
  readonly ofProject: ReadonlySet<string>
  /** Where they are; for people. */
  readonly saidIn: string
  /** Who is asked before a command of the project runs. */
  readonly consent: Consent | undefined
}

export const connectionKeys = ['connection', 'connectionEnv', 'connectionFile', 'connectionCommand'] as const

/** A connection that was given on the command line or in the environment, or one that is used when nothing else names any. */
export interface GivenConnection {
  readonly connection?: Setting<string>
  readonly fallback?: Setting<string>
}

/** Which broker a profile means, unless a connection was given. */
export function brokerOf(
  project: Project,
  { name, profile, chosenBy }: { readonly name: string; readonly profile: Profile; readonly chosenBy: string },
  { connection: given, fallback }: GivenConnection,
): BrokerChoice {
  const { consent, folder } = project
  const projectFile = project.file ?? projectFileName
  const originOf = (key: string): string | undefined => project.origins[`profiles.${name}.${key}`]
  const ofProfile = (key: string): string => `profile '${name}' in ${originOf(key)}`
  const ofProject = new Set(Object.keys(profile).filter((key) => [undefined, projectFile].includes(originOf(key))))
  const { hosts: _hosts, ...withoutHosts } = profile
  const namesOne = connectionKeys.find((key) => profile[key] !== undefined)
  const address = managementOf(profile, ofProfile)
  const others = { folder, chosenBy, ofProject, saidIn: `profile '${name}' in ${projectFile}`, consent }
  if (given !== undefined)
    return {
      ...others,
      connection: asText(given),
      passwordFrom: 'elsewhere',
      // Further nodes belong to the broker that the profile names, and so does the management API unless it proves to be of this one.
      management: namesOne === undefined ? address : undefined,
      otherManagement: namesOne === undefined ? undefined : address,
      profile: namesOne === undefined ? profile : withoutHosts,
    }
  const isOfProject = namesOne !== undefined && ofProject.has(namesOne)
  return {
    ...others,
    connection: secretOf(project, profile, ofProfile, ofProject) ?? (fallback && asText(fallback)),
    passwordFrom: !isOfProject ? 'elsewhere' : namesOne === 'connection' ? 'project' : 'namedByProject',
    management: address,
    otherManagement: undefined,
    profile,
  }
}

const asText = ({ origin, value }: Setting<string>): SecretSource => ({ kind: 'text', text: value, origin })

function managementOf({ management, managementEnv }: Profile, ofProfile: (key: string) => string): SecretSource | undefined {
  if (management !== undefined) return { kind: 'text', text: management, origin: ofProfile('management') }
  return managementEnv === undefined ? undefined : { kind: 'environment', variable: managementEnv, origin: ofProfile('managementEnv') }
}

function secretOf(
  { folder, userFolder }: Project,
  { connection, connectionCommand, connectionEnv, connectionFile }: Profile,
  ofProfile: (key: string) => string,
  ofProject: ReadonlySet<string>,
): SecretSource | undefined {
  if (connection !== undefined) return { kind: 'text', text: connection, origin: ofProfile('connection') }
  if (connectionEnv !== undefined) return { kind: 'environment', variable: connectionEnv, origin: ofProfile('connectionEnv') }
  if (connectionFile !== undefined) return { kind: 'file', file: resolve(folder, connectionFile), origin: ofProfile('connectionFile') }
  if (connectionCommand === undefined) return undefined
  const isOfProject = ofProject.has('connectionCommand')
  return {
    kind: 'command',
    command: connectionCommand,
    // A command of the user's own runs where it was written down: in a stranger's folder it might find other programs.
    folder: isOfProject ? folder : (userFolder ?? folder),
    isOfProject,
    origin: ofProfile('connectionCommand'),
  }
}
