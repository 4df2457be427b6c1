import { NsbError, errorText } from '../../message/nsb-error.ts'
import { type BrokerHost, type ConnectionSettings, certificateOf } from './connection-settings.ts'
import type { ManagementSettings } from './settings.ts'

interface Answer {
  readonly status: number
  readonly text: string
}

const largestAnswer = 256 * 1024 * 1024
const switchedOff = ['Switch it on: rabbitmq-plugins enable rabbitmq_management', 'Or name its address in the profile: "management"']

/** The management API of the broker: what AMQP itself does not tell. @source NServiceBus.RabbitMQ: ManagementClient */
export class Management {
  readonly #settings: ConnectionSettings
  /** One for each host, unless it is named. */
  readonly #urls: readonly string[]
  /** Which of them answered last. */
  #at = 0
  readonly #user: string
  readonly #authorization: string
  readonly #timeoutMs: number
  /** Set once it could not be reached, so that every further question costs nothing. */
  #unreachable: NsbError | undefined
  readonly #closing = new AbortController()

  constructor(settings: ConnectionSettings, { url, user, password }: ManagementSettings, timeoutMs: number) {
    this.#settings = settings
    this.#urls = url === undefined ? settings.hosts.map((host) => defaultUrl(host, settings)) : [url.replace(/\/+$/, '')]
    this.#user = user ?? settings.user
    const login = `${this.#user}:${password ?? settings.revealPassword()}`
    this.#authorization = `Basic ${Buffer.from(login).toString('base64')}`
    this.#timeoutMs = timeoutMs
  }

  /** Where it is, without a login. */
  get address(): string {
    return withoutLogin(this.#urls[this.#at] ?? '')
  }

  /** `path` below `/api`, `{vhost}` standing for the virtual host. @returns undefined for 404 @throws {NsbError} NSB_MANAGEMENT_UNREACHABLE */
  async get(path: string): Promise<unknown> {
    const answer = await this.#ask('GET', path)
    if (answer.status === 404) return undefined
    if (answer.status !== 200) throw this.#refusedError(answer.status)
    try {
      return JSON.parse(answer.text)
    } catch {
      throw this.#unreachableError('what answered is no management API')
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

  /** @throws {NsbError} NSB_MANAGEMENT_UNREACHABLE, also when it is not permitted */
  async put(path: string, value: unknown): Promise<void> {
    const { status } = await this.#ask('PUT', path, JSON.stringify(value))
    if (status >= 300) throw this.#refusedError(status)
  }

  /** Ends what is asked now, and every further question. */
  close(): void {
    this.#unreachable ??= this.#unreachableError('it is not used any more')
    this.#closing.abort(this.#unreachable)
  }

  async #ask(method: 'GET' | 'PUT', path: string, body?: string): Promise<Answer> {
    if (this.#unreachable) throw this.#unreachable
    const below = path.replace('{vhost}', encodeURIComponent(this.#settings.virtualHost))
    const failures: string[] = []
    for (let index = 0; index < this.#urls.length; index++) {
      const at = (this.#at + index) % this.#urls.length
      try {
        const answer = await this.#request(method, `${this.#urls[at]}/api/${below}`, body)
        this.#at = at
        return answer
      } catch (error) {
        if (this.#closing.signal.aborted) break
        failures.push(errorText(error))
      }
    }
    this.#unreachable ??= this.#unreachableError([...new Set(failures)].join('; '))
    throw this.#unreachable
  }

  /** The broker answers in the same way when the password is wrong and when the user lacks the tag for it. */
  #refusedError(status: number): NsbError {
    if (status !== 401 && status !== 403) return this.#unreachableError(`it answered ${status}`)
    return this.#unreachableError(`user '${this.#user}' may not ask it, or has another password there (it answered ${status})`, [
      `Permit it: rabbitmqctl set_user_tags ${this.#user} monitoring`,
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

  async #request(method: 'GET' | 'PUT', url: string, body: string | undefined): Promise<Answer> {
    const { tls } = this.#settings
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
      asking.setHeader('authorization', this.#authorization)
      if (body !== undefined) asking.setHeader('content-type', 'application/json')
      asking.once('error', reject)
      asking.end(body)
    })
  }
}

function defaultUrl({ host }: BrokerHost, settings: ConnectionSettings): string {
  const name = host.includes(':') ? `[${host}]` : host
  return settings.tls ? `https://${name}:15671` : `http://${name}:15672`
}

function withoutLogin(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
