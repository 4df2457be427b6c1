import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type BrokerHost, type ConnectionSettings, certificateOf, shownUser } from './connection-settings.ts'
import { type BrokerIdentity, isSame, managementElsewhere, whichNodes, whoItIs } from './same-broker.ts'
import type { ManagementSettings } from './settings.ts'

interface Answer {
  readonly status: number
  readonly text: string
}

/** Where the API is asked, and as whom. */
interface Place {
  readonly url: string
  /** For people. */
  readonly user: string
  readonly authorization: string
  /** Whether it is that of the broker: an error says why not, a status that it did not answer. Asked once. */
  proof: Promise<NsbError | number | undefined> | undefined
}

const largestAnswer = 256 * 1024 * 1024
const switchedOff = ['Switch it on: rabbitmq-plugins enable rabbitmq_management', 'Or name its address in the profile: "management"']

/**
 * The management API of the broker: what AMQP itself does not tell. Its port is a guess unless it is named, and a name may be wrong, so an
 * answer counts when the API belongs to the broker that is connected with: it names the same cluster, in a version that runs there.
 *
 * @source NServiceBus.RabbitMQ: ManagementClient
 */
export class Management {
  readonly #settings: ConnectionSettings
  /** One for each host, unless it is named. */
  readonly #places: readonly Place[]
  /** Which of them answered last. */
  #at = 0
  readonly #timeoutMs: number
  readonly #broker: (() => Promise<BrokerIdentity>) | undefined
  /** Set once it could not be used, so that every further question costs nothing. */
  #unusable: NsbError | undefined
  readonly #closing = new AbortController()

  /**
   * @param broker the one that is connected with; undefined: any will do
   * @param usualPort where it is looked for unless it is named
   */
  constructor(
    settings: ConnectionSettings,
    named: ManagementSettings,
    timeoutMs: number,
    broker?: () => Promise<BrokerIdentity>,
    usualPort = settings.tls ? 15_671 : 15_672,
  ) {
    this.#settings = settings
    this.#places = placesOf(settings, named, usualPort)
    this.#timeoutMs = timeoutMs
    this.#broker = broker
  }

  /** Where it is, without a login. */
  get address(): string {
    return withoutLogin(this.#places[this.#at]?.url ?? '')
  }

  /**
   * `path` below `/api`, `{vhost}` standing for the virtual host.
   *
   * @returns undefined for 404
   * @throws {NsbError} NSB_MANAGEMENT_UNREACHABLE, NSB_MANAGEMENT_ELSEWHERE, and why the broker cannot be connected with
   */
  async get(path: string): Promise<unknown> {
    const answer = await this.#ask('GET', path)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw this.#refusedError(answer.status)
    try {
      return parsed(answer)
    } catch (error) {
      throw this.#unreachableError(errorText(error))
    }
  }

  /** The same, with undefined for everything that goes wrong: for what is nice to know. */
  async tryGet(path: string): Promise<unknown> {
    try {
      return await this.get(path)
    } catch {
      return undefined
    }
  }

  /** @throws {NsbError} as {@link get} does, also when it is not permitted */
  async put(path: string, value: unknown): Promise<void> {
    const { status } = await this.#ask('PUT', path, JSON.stringify(value))
    if (status >= 300) throw this.#refusedError(status)
  }

  /** Ends what is asked now, and every further question. */
  close(): void {
    this.#unusable ??= this.#unreachableError('it is not used any more')
    this.#closing.abort(this.#unusable)
  }

  async #ask(method: 'GET' | 'PUT', path: string, body?: string): Promise<Answer> {
    if (this.#unusable) throw this.#unusable
    const below = path.replace('{vhost}', encodeURIComponent(this.#settings.virtualHost))
    const failures: string[] = []
    let elsewhere: NsbError | undefined
    let refused: { readonly at: number; readonly answer: Answer } | undefined
    for (let index = 0; index < this.#places.length; index++) {
      const at = (this.#at + index) % this.#places.length
      const place = this.#places[at] as Place
      try {
        // A question may be asked meanwhile; nothing is changed before it is known where.
        const proving = this.#prove(place)
        const [proof, answer] =
          method === 'GET' ? await Promise.all([proving, this.#request(place, method, below)]) : [await proving, undefined]
        if (proof instanceof NsbError) {
          elsewhere ??= proof
          continue
        }
        if (proof !== undefined) {
          // Whoever may not ask the one may not ask the other. It may be that of a broker that does not know the user.
          refused ??= { at, answer: answer !== undefined && answer.status >= 400 ? answer : { status: proof, text: '' } }
          continue
        }
        this.#at = at
        return answer ?? (await this.#request(place, method, below, body))
      } catch (error) {
        if (this.#closing.signal.aborted) break
        // Why there is no connection is said as it is.
        if (error instanceof NsbError) throw error
        failures.push(errorText(error))
      }
    }
    if (refused !== undefined && elsewhere === undefined && !this.#closing.signal.aborted) {
      this.#at = refused.at
      return refused.answer
    }
    this.#unusable ??= elsewhere ?? this.#unreachableError([...new Set(failures)].join('; '))
    throw this.#unusable
  }

  #prove(place: Place): Promise<NsbError | number | undefined> {
    const broker = this.#broker
    if (broker === undefined) return Promise.resolve(undefined)
    place.proof ??= this.#compare(place, broker())
    // The next time it may answer.
    place.proof.catch(() => (place.proof = undefined))
    return place.proof
  }

  async #compare(place: Place, connecting: Promise<BrokerIdentity>): Promise<NsbError | number | undefined> {
    const [answer, broker] = await Promise.all([this.#request(place, 'GET', whoItIs), connecting])
    if (answer.status !== 200) return answer.status
    const told = parsed(answer)
    const nodes = async (): Promise<unknown> => parsed(await this.#request(place, 'GET', whichNodes))
    return (await isSame(told, broker, nodes)) ? undefined : managementElsewhere(withoutLogin(place.url), told, broker)
  }

  /** The broker answers in the same way when the password is wrong and when the user lacks the tag for it. */
  #refusedError(status: number): NsbError {
    if (status !== 401 && status !== 403) return this.#unreachableError(`it answered ${status}`)
    const user = this.#places[this.#at]?.user ?? ''
    return this.#unreachableError(`user '${user}' may not ask it, or has another password there (it answered ${status})`, [
      `Permit it: rabbitmqctl set_user_tags ${user} monitoring`,
      'Or name the login of another user in the address of the profile: "management"',
    ])
  }

  #unreachableError(why: string, suggestions: readonly string[] = switchedOff): NsbError {
    return new NsbError({
      code: 'NSB_MANAGEMENT_UNREACHABLE',
      message: `The management API at ${this.address} cannot be used: ${why}.`,
      suggestions,
    })
  }

  async #request({ authorization, url: base }: Place, method: 'GET' | 'PUT', path: string, body?: string): Promise<Answer> {
    const { tls } = this.#settings
    const url = `${base}/api/${path}`
    // Loaded here: what only sends and receives asks nothing.
    const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
    return new Promise((resolve, reject) => {
      const asking = request(
        url,
        {
          method,
          timeout: this.#timeoutMs,
          signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#timeoutMs)]),
          ...(url.startsWith('https:') && {
            rejectUnauthorized: tls?.verify ?? true,
            ...(tls?.ca === undefined ? {} : { ca: certificateOf(tls.ca) }),
          }),
        },
        (response) => {
          const chunks: Buffer[] = []
          let size = 0
          response.on('data', (chunk: Buffer) => {
            size += chunk.length
            if (size > largestAnswer) asking.destroy(new Error('its answer is too large'))
            else chunks.push(chunk)
          })
          response.once('error', reject)
          response.once('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }))
        },
      )
      // Not among the options, which NODE_DEBUG prints.
      asking.setHeader('authorization', authorization)
      if (body !== undefined) asking.setHeader('content-type', 'application/json')
      asking.once('error', reject)
      asking.end(body)
    })
  }
}

function parsed({ text }: Answer): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error('what answered is no management API', { cause: error })
  }
}

function placesOf(
  settings: ConnectionSettings,
  { afterDefault, password, url, user }: ManagementSettings,
  usualPort: number,
): readonly Place[] {
  const login = (name: string, secret: string): Omit<Place, 'url'> => ({
    user: shownUser(name),
    authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`,
    proof: undefined,
  })
  const own = login(user ?? settings.user, password ?? settings.revealPassword())
  const named = url === undefined ? [] : [{ url: url.replace(/(?<!\/)\/+$/, ''), ...own }]
  if (named.length > 0 && afterDefault !== true) return named
  // Of a named address the login is its own too.
  const usual = named.length > 0 ? login(settings.user, settings.revealPassword()) : own
  return [...settings.hosts.map((host) => ({ url: defaultUrl(host, settings.tls !== undefined, usualPort), ...usual })), ...named]
}

function defaultUrl({ host }: BrokerHost, tls: boolean, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `${tls ? 'https' : 'http'}://${name}:${port}`
}

function withoutLogin(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
