import { isIPv6 } from 'node:net'
import { inspect } from 'node:util'
import { NsbError } from '../../message/nsb-error.ts'
import type { BrokerHosts, RabbitSettings, TlsSettings } from './settings.ts'

export interface BrokerHost {
  readonly host: string
  readonly port: number
}

interface Fields {
  readonly hosts: readonly [BrokerHost, ...BrokerHost[]]
  readonly virtualHost: string
  readonly user: string
  readonly password: string
  readonly tls: TlsSettings | undefined
}

/** How to reach a broker. Its text never holds the password, however it is printed. */
export class ConnectionSettings {
  readonly hosts: readonly [BrokerHost, ...BrokerHost[]]
  readonly virtualHost: string
  readonly user: string
  readonly tls: TlsSettings | undefined
  readonly #password: string

  constructor({ hosts, virtualHost, user, password, tls }: Fields) {
    this.hosts = hosts
    this.virtualHost = virtualHost
    this.user = user
    this.#password = password
    // Keys and pass phrases stay out of anything that enumerates properties.
    Object.defineProperty(this, 'tls', { value: tls, enumerable: false })
  }

  /** For the login alone. */
  revealPassword(): string {
    return this.#password
  }

  /** The same with more nodes of the cluster, or certificates. */
  with(changes: { readonly hosts?: readonly BrokerHost[]; readonly tls?: TlsSettings | undefined }): ConnectionSettings {
    return new ConnectionSettings({
      hosts: [this.hosts[0], ...this.hosts.slice(1), ...(changes.hosts ?? [])],
      virtualHost: this.virtualHost,
      user: this.user,
      password: this.#password,
      tls: changes.tls ? { ...this.tls, ...changes.tls } : this.tls,
    })
  }

  /** The name of the user for people: a login that was typed in one piece is all name, and not shown. */
  get shownUser(): string {
    return shownUser(this.user)
  }

  /** `amqp://user:***@host:5672/vhost` */
  toString(): string {
    return this.describe(this.hosts[0])
  }

  describe({ host, port }: BrokerHost): string {
    const scheme = this.tls ? 'amqps' : 'amqp'
    const vhost = this.virtualHost === '/' ? '' : `/${encodeURIComponent(this.virtualHost)}`
    return `${scheme}://${this.shownUser === this.user ? encodeURIComponent(this.user) : this.shownUser}:***@${host.includes(':') ? `[${host}]` : host}:${port}${vhost}`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/** A name as it may be shown. */
export const shownUser = (name: string): string => (/[\s:=@/]/.test(name) ? '***' : name)

/** What the connection string holds beside the settings; each is worth a warning. */
export interface ParsedConnection {
  readonly settings: ConnectionSettings
  readonly warnings: readonly string[]
}

/**
 * Reads a connection string in either form that the .NET transport takes: `amqp://user:password@host:port/vhost`, or
 * `host=…;virtualHost=…;userName=…;password=…;useTls=…`. Nothing of the text is repeated in an error but names of options.
 *
 * @throws {NsbError} NSB_BAD_CONNECTION with all problems at once
 * @source NServiceBus.RabbitMQ: ConnectionConfiguration
 */
export function parseConnection(text: string): ParsedConnection {
  // Pairs may stand between blanks; an address may not, and would be taken for pairs.
  if (/^\s+amqps?:/i.test(text)) throw bad(['it begins with a blank; leave it out'])
  return /^amqp/i.test(text) ? parseUri(text) : parsePairs(text)
}

const defaultPort = (tls: boolean): number => (tls ? 5671 : 5672)

function parseUri(text: string): ParsedConnection {
  const match = /^(amqp[a-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#]*)(?::([^/?#]*))?(\/[^?#]*)?(\?[^#]*)?(#.*)?$/i.exec(text)
  if (!match)
    throw bad([
      /\s/.test(text) ? 'it contains a blank; write %20' : 'it is not an address of the form amqp://user:password@host:port/vhost',
    ])
  const [, scheme = '', userInfo, hostText = '', portText, path = '', query] = match
  const problems: string[] = []
  const tls = scheme.toLowerCase() === 'amqps'
  if (/\s/.test(text)) problems.push('it contains a blank; write %20')
  // The rest of a password would be taken for the host, the port or the virtual host, and be repeated as such.
  const misplaced = text.replace(/^[^@/]*:\/\/[^@/?#]*@/, '').includes('@')
  if (misplaced) problems.push(`an '@' follows an '@', '/', '?' or '#'; in a password these are written %40, %2F, %3F and %23`)
  const [user = '', password, ...more] = userInfo?.split(':') ?? []
  if (more.length > 0) problems.push(`the user info has more than one ':'; write %3A for one in a name or password`)
  const segments = path.split('/').slice(1)
  if (segments.length > 1) problems.push(`the path has more than one segment; a virtual host with '/' is written %2F`)
  const port = portText === undefined || portText === '' ? defaultPort(tls) : portNumber(portText, problems)
  const decoded = {
    user: decode(user, 'user', problems),
    password: decode(password ?? guest, 'password', problems),
    virtualHost: decode(segments[0] ?? '', 'virtual host', problems),
  }
  const host = hostText.replace(/^\[|\]$/g, '')
  if (host === '') problems.push('it names no host')
  checkHost(host, problems)
  if (problems.length > 0) throw bad(problems)
  return {
    settings: new ConnectionSettings({
      hosts: [{ host, port }],
      virtualHost: decoded.virtualHost || '/',
      user: userInfo ? decoded.user : guest,
      password: decoded.password,
      tls: tls ? {} : undefined,
    }),
    warnings: query !== undefined && query.length > 1 ? ['The query of the connection string is ignored.'] : [],
  }
}

/** Whom nobody named. */
const guest = 'guest'

function decode(text: string, what: string, problems: string[]): string {
  try {
    return decodeURIComponent(text)
  } catch {
    problems.push(`the ${what} has a '%' that begins no character; write %25`)
    return ''
  }
}

function portNumber(text: string, problems: string[]): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) return port
  // It is not repeated: in `amqp://user:pass/word@host` it is a part of the password.
  problems.push(`the port is no number from 1 to 65535; write '/', '?', '#' and '@' in a password as %2F, %3F, %23 and %40`)
  return 0
}

/** What is no part of a name may belong to a password, so it is not repeated. */
function checkHost(host: string, problems: string[]): void {
  if (/[\p{Cc}\s/@?#\\"'=;]/u.test(host)) problems.push('the host has a character that no host name has')
}

const known = ['host', 'port', 'virtualhost', 'username', 'password', 'usetls']
/** Options of older transports, and what to do instead. @source NServiceBus.RabbitMQ: ConnectionConfiguration */
const refused: Readonly<Record<string, string>> = {
  dequeuetimeout: 'it was removed',
  maxwaittimeforconfirms: 'it was removed',
  prefetchcount: 'the concurrency of the endpoint decides',
  usepublisherconfirms: 'publisher confirms are always on',
  certpath: 'name the certificate in the profile',
  certpassphrase: 'name the pass phrase in the profile',
  requestedheartbeat: 'it is 60 s; set it in code',
  retrydelay: 'it is 10 s; set it in code',
}

function parsePairs(text: string): ParsedConnection {
  const problems: string[] = []
  const pairs = readPairs(text, problems)
  const hostText = pairs.get('host') ?? ''
  if (hostText === '') problems.push(`it has no 'host'`)
  if (hostText.includes(',')) problems.push('it names several hosts; more nodes of a cluster are named in the profile')
  for (const [key, why] of Object.entries(refused)) if (pairs.has(key)) problems.push(`the option '${key}' is not supported: ${why}`)
  const tls = booleanOf(pairs.get('usetls'), problems)
  const [host, hostPort] = splitHost(hostText)
  checkHost(host, problems)
  const portText = pairs.get('port') ?? hostPort
  const port = portText === undefined ? defaultPort(tls) : portNumber(portText, problems)
  if (problems.length > 0) throw bad(problems)
  const keys = [...pairs.keys()]
  const unknown = keys.filter((key) => !known.includes(key))
  // Behind a password with a ';' of its own stands the rest of it, which is not repeated, and neither is what is no word.
  const isSecret = (key: string): boolean => keys.slice(0, keys.indexOf(key)).some((each) => /pass|pwd|secret/.test(each))
  const named = (key: string): string => (/^[\w.-]+$/.test(key) ? ` '${key}'` : '')
  return {
    settings: new ConnectionSettings({
      hosts: [{ host, port }],
      virtualHost: pairs.get('virtualhost') || '/',
      user: pairs.get('username') ?? guest,
      password: pairs.get('password') ?? guest,
      tls: tls ? {} : undefined,
    }),
    warnings: unknown.map((key) =>
      isSecret(key)
        ? `The connection string has an unknown option behind the password, which is ignored; a password with ';' stands in quotes.`
        : `The connection string has an unknown option${named(key)}, which is ignored. Known: ${known.join(', ')}.`,
    ),
  }
}

const startOfPair = /[\s,](host|port|virtualhost|user|username|password|pwd|usetls)\s*=/i

/** `key=value` separated by `;`; a value in single or double quotes may hold anything, doubled quotes stand for one. */
function readPairs(text: string, problems: string[]): Map<string, string> {
  const pairs = new Map<string, string>()
  for (let at = 0; at < text.length; ) {
    const [before = '', name = '', sign] = matchAt(/([^=;]*)(=|;|$)/y, text, at) ?? []
    at += before.length
    const key = name.trim().toLowerCase()
    if (sign !== '=' && key === '') continue
    if (sign !== '=' || key === '') {
      problems.push(`it is neither an address that begins with amqp:// nor a list of key=value pairs`)
      break
    }
    const quoted = matchAt(/\s*(?:"((?:[^"]|"")*)"|'((?:[^']|'')*)')\s*(?:;|$)/y, text, at)
    const [whole, plain = ''] = quoted ?? (matchAt(/([^;]*)(?:;|$)/y, text, at) as RegExpExecArray)
    at += whole.length
    // The rest would be taken for a name, and be repeated as such.
    const swallowed = quoted || key === 'password' ? undefined : startOfPair.exec(plain)?.[1]
    if (swallowed !== undefined) problems.push(`a ';' is missing before '${swallowed.toLowerCase()}='`)
    pairs.set(key, quoted ? (quoted[1]?.replaceAll('""', '"') ?? quoted[2]?.replaceAll("''", "'") ?? '') : plain.trim())
  }
  return pairs
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function booleanOf(text: string | undefined, problems: string[]): boolean {
  if (text === undefined || /^(true|false)$/i.test(text)) return text?.toLowerCase() === 'true'
  problems.push(`'useTls' is neither true nor false`)
  return false
}

/** `name`, `name:port`, or an IPv6 address, which needs brackets where a port follows. */
export function splitHost(text: string): readonly [string, string?] {
  if (isIPv6(text.trim())) return [text.trim()]
  const match = /^\[([^\]]*)\](?::(.*))?$|^([^:]*)(?::(.*))?$/.exec(text.trim())
  if (!match) return [text.trim()]
  const port = match[2] ?? match[4]
  return port === undefined ? [match[1] ?? match[3] ?? ''] : [match[1] ?? match[3] ?? '', port]
}

/** Further nodes, `name` or `name:port`. @throws {NsbError} NSB_BAD_CONNECTION */
export function parseHosts(texts: readonly string[], tls: boolean): readonly BrokerHost[] {
  const problems: string[] = []
  const hosts = texts.map((text) => {
    const [host, port] = splitHost(text)
    if (host === '') problems.push('a host is empty')
    checkHost(host, problems)
    return { host, port: port === undefined ? defaultPort(tls) : portNumber(port, problems) }
  })
  if (problems.length > 0) throw bad(problems)
  return hosts
}

/** @throws {NsbError} NSB_BAD_CONNECTION */
export function hostsOf({ connection, hosts }: Pick<RabbitSettings, 'connection' | 'hosts'>): BrokerHosts {
  const { settings } = parseConnection(connection)
  const isSecure = settings.tls !== undefined
  const [{ host, port }] = settings.hosts
  return {
    own: host,
    port,
    virtualHost: settings.virtualHost,
    further: parseHosts(hosts ?? [], isSecure).map((each) => each.host),
    isSecure,
  }
}

function bad(problems: readonly string[]): NsbError {
  return new NsbError({
    code: 'NSB_BAD_CONNECTION',
    message: `The connection string cannot be used: ${problems.join('; ')}.`,
    suggestions: [
      'Write amqp://user:password@host:5672/vhost, with %-codes for reserved characters',
      'Or host=…;virtualHost=…;userName=…;password=…',
    ],
    details: { problems },
  })
}

/** As Node's TLS takes it. */
export function certificateOf(given: string | Uint8Array): string | Buffer {
  return typeof given === 'string' ? given : Buffer.from(given)
}
