import { type TransportSettings, brokerHosts } from '../../transport/open.ts'
import { identityOf, strangersOfCommand } from '../trust/stranger.ts'
import { isAllowed } from '../trust/trust.ts'
import type { BrokerChoice } from './broker-choice.ts'

type Named = Pick<NonNullable<TransportSettings['rabbitmq']>, 'hosts' | 'management' | 'tls'>

/**
 * What a profile names beside the connection, without what would lead the password to a host that it did not come with. A project's file
 * names hosts for its own password; for that of somebody else it may name other ports of the same host, or an address with a login of its
 * own. What makes TLS trust more, it says for others only where nobody else can change the file.
 *
 * @throws {NsbError} NSB_BAD_CONNECTION
 */
export async function settingsForPassword(
  choice: BrokerChoice,
  connection: string,
  named: Named,
  { env, warn }: { readonly env: NodeJS.ProcessEnv; readonly warn: (warning: string) => void },
): Promise<Named> {
  const { hosts, management, tls, ...rest } = named
  const { folder, ofProject, passwordFrom, saidIn } = choice
  if (passwordFrom === 'project' || ofProject.size === 0) return named
  const isOurs = strangersOfCommand(folder, identityOf(env)).every((stranger) => isAllowed(stranger, env))
  const isForeign = (key: string): boolean => ofProject.has(key) && (passwordFrom === 'elsewhere' || !isOurs)
  const { further, isSecure, own } = await brokerHosts({ connection, ...(hosts && { hosts }) })
  const why = `The password comes from ${choice.connection?.origin}, and goes to no other host than '${own}'`

  const keptHosts = isForeign('hosts') ? hosts?.filter((_, index) => isSameHost(further[index] ?? '', own)) : hosts
  const left = (hosts ?? []).filter((host) => keptHosts?.includes(host) !== true)
  if (left.length > 0) warn(`${why}: 'hosts' of ${saidIn} names others, which are not used.`)

  const isForeignAddress = isForeign('management') || isForeign('managementEnv')
  const url = management?.url === undefined ? undefined : new URL(management.url)
  const isKept =
    url === undefined ||
    !isForeignAddress ||
    management?.password !== undefined ||
    (isSameHost(url.hostname, own) && (!isSecure || url.protocol === 'https:'))
  // What an overruled profile says is about its own broker, and need not be of this one.
  if (!isKept && choice.otherManagement === undefined)
    warn(`${why}${isSecure ? ', with TLS' : ''}: 'management' of ${saidIn} is elsewhere, and not asked.`)

  const { ca, verify, ...otherTls } = tls ?? {}
  const trustsMore = (['ca', 'verify'] as const).filter((key) => tls?.[key] !== undefined && !isOurs && ofProject.has(key))
  if (trustsMore.length > 0) warn(`'${trustsMore.join("' and '")}' of ${saidIn} are not used: somebody else can change that file.`)
  const keptTls = {
    ...otherTls,
    ...(ca !== undefined && !trustsMore.includes('ca') && { ca }),
    ...(verify !== undefined && !trustsMore.includes('verify') && { verify }),
  }
  return {
    ...rest,
    ...(keptHosts && keptHosts.length > 0 && { hosts: keptHosts }),
    ...(isKept && management && { management }),
    ...(Object.keys(keptTls).length > 0 && { tls: keptTls }),
  }
}

const thisMachine = new Set(['localhost', '127.0.0.1', '::1'])

function isSameHost(one: string, other: string): boolean {
  const [a, b] = [plain(one), plain(other)]
  return a === b || (thisMachine.has(a) && thisMachine.has(b))
}

const plain = (host: string): string => host.toLowerCase().replace(/^\[|\]$|\.$/g, '')
