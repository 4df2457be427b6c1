import { NsbError, errorText } from '../../message/nsb-error.ts'
import type { BrokerHost, ConnectionSettings } from './connection-settings.ts'

interface Named {
  readonly code: string
  readonly why: string
  readonly next: string
}

/** An error of the socket, the handshake or the login, in words; the password is in none of them. */
export function connectError(error: unknown, settings: ConnectionSettings, host: BrokerHost): NsbError {
  const { code, why, next } = whyNotConnected(error, settings, host)
  const { shownUser, user } = settings
  return new NsbError({
    code,
    // The broker repeats the name.
    message: `Cannot connect to RabbitMQ at ${settings.describe(host)}: ${shownUser === user ? why : why.replaceAll(user, shownUser)}.`,
    suggestions: [next],
    details: { host: host.host, port: host.port, virtualHost: settings.virtualHost, user: settings.shownUser },
  })
}

const certificateErrors =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS|ERR_OSSL|EPROTO|ERR_SSL|INVALID_CA|wrong version number|certificate/i

function whyNotConnected(error: unknown, settings: ConnectionSettings, { host, port }: BrokerHost): Named {
  const text = errorText(error)
  const system = systemCode(error)
  if (system === 'ECONNREFUSED')
    return {
      code: 'NSB_CONNECTION_REFUSED',
      why: `nothing listens on port ${port}`,
      next: 'Start the broker, or correct the host and port',
    }
  if (system === 'ENOTFOUND' || system === 'EAI_AGAIN')
    return { code: 'NSB_HOST_NOT_FOUND', why: `the host '${host}' is not known`, next: 'Correct the host of the connection' }
  if (system === 'ETIMEDOUT' || system === 'EHOSTUNREACH' || system === 'ENETUNREACH' || /ETIMEDOUT|timed out/.test(text))
    return { code: 'NSB_CONNECTION_TIMED_OUT', why: 'it does not answer', next: 'Look for a firewall, or raise --timeout' }
  if (/ACCESS_REFUSED/.test(text) && !/vhost/.test(text))
    return { code: 'NSB_LOGIN_REFUSED', why: `login was refused for user '${settings.shownUser}'`, next: 'Correct the user and password' }
  // amqplib does not say what the broker answers to the last step of the handshake, which names the virtual host.
  const unnamed = /Expected ConnectionOpenOk; got <ConnectionClose/.test(text)
  if (unnamed || /vhost|NOT_ALLOWED|INTERNAL_ERROR - access to vhost/.test(text))
    return {
      code: 'NSB_VIRTUAL_HOST',
      why: `the virtual host '${settings.virtualHost}' does not exist, or user '${settings.shownUser}' may not use it${unnamed ? '' : ` (${replyText(text)})`}`,
      next: `rabbitmqctl list_vhosts; rabbitmqctl list_user_permissions ${settings.shownUser}`,
    }
  if (settings.tls && certificateErrors.test(`${system} ${text}`))
    return {
      code: 'NSB_TLS_FAILED',
      why: `the TLS connection failed (${plain(text)})`,
      next: tlsHint(text),
    }
  if (/SASL mechanism/.test(text)) return { code: 'NSB_LOGIN_REFUSED', why: plain(text), next: 'Use a login the broker offers' }
  if (
    /closed abruptly|ECONNRESET|EPIPE|Unexpected close|Expected ConnectionStart|Handshake terminated/.test(text) ||
    system === 'ECONNRESET'
  )
    return {
      code: 'NSB_NOT_AMQP',
      why: `the other side ended the handshake (${plain(text)})`,
      next: settings.tls ? 'Is this the TLS port of a broker?' : 'Is this the AMQP port? With TLS, write amqps://',
    }
  return { code: 'NSB_CONNECTION_FAILED', why: plain(text), next: 'Check the connection, and the log of the broker' }
}

function tlsHint(text: string): string {
  if (/altnames/i.test(text)) return 'Connect to the host by the name that its certificate is for'
  if (/bad decrypt|mac verify|pkcs12|key values mismatch|PEM routines|interrupted or cancelled/i.test(text))
    return 'Correct the client certificate of the profile: "certificate", "key", "pfx", "passphraseEnv"'
  const [, ...alerts] = text.split(/alert /i)
  if (
    /certificate required|handshake failure|bad certificate|unknown ca/i.test(alerts.join(' ')) ||
    /ALERT_(CERTIFICATE|HANDSHAKE|BAD_CERT)/i.test(text)
  )
    return 'The broker wants another client certificate: "certificate" and "key" of the profile, or "pfx"'
  if (/EPROTO|wrong version|packet length/i.test(text)) return 'Is this the TLS port? It is 5671 by default'
  return 'Name the authority of the certificate in the profile: "ca"'
}

/**
 * The connection was lost after it had been open.
 *
 * @param movesMessages were messages sent or removed on it?
 */
export function lostError(name: string, address: string, cause: unknown, movesMessages: boolean): NsbError {
  return new NsbError({
    code: 'NSB_CONNECTION_LOST',
    message: `The connection '${name}' to ${address} was lost: ${plain(errorText(cause ?? 'it was closed'))}.`,
    suggestions: [
      movesMessages
        ? 'Whether what was under way arrived is not known; look before sending it again'
        : 'No message was under way on it; try again when the broker can be reached',
    ],
  })
}

/** An answer of the broker that closed a channel: what was refused, and why. Other errors come back as they are. */
export function channelError(error: unknown, what: string): unknown {
  const code = replyCode(error)
  const why = replyText(errorText(error))
  switch (code) {
    case 403:
      return new NsbError({
        code: 'NSB_NOT_PERMITTED',
        message: `The broker does not permit to ${what}: ${why}.`,
        suggestions: ['Ask for the permission: rabbitmqctl set_permissions'],
        cause: error,
      })
    case 405:
      return new NsbError({
        code: 'NSB_QUEUE_LOCKED',
        message: `Cannot ${what}: another connection has it to itself (${why}).`,
        suggestions: ['Wait until it is done'],
        cause: error,
      })
    case 406:
      return new NsbError({
        code: 'NSB_BROKER_MISMATCH',
        message: `Cannot ${what}: ${whatExists(why)} (${why}).`,
        suggestions: ['Use the settings it was made with, such as the queue type, or remove it first'],
        cause: error,
      })
    default:
      return error
  }
}

/** The refusal of a declaration names one property that differs, and a classic queue has no type argument. */
function whatExists(why: string): string {
  const [, name, kind, thing] = /inequivalent arg '([^']*)' for (queue|exchange) '([^']*)'/.exec(why) ?? []
  if (name === undefined) return 'it exists with other properties'
  const current = /current is (?:the value )?'([^']*)'/.exec(why)?.[1]
  if (name === 'x-queue-type') return `queue '${thing}' exists as ${current ?? 'classic'}`
  return `${kind} '${thing}' exists with ${current === undefined ? `no '${name}'` : `'${name}' ${current}`}`
}

const outages: ReadonlySet<string> = new Set([
  'NSB_CONNECTION_LOST',
  'NSB_CONNECTION_REFUSED',
  'NSB_CONNECTION_TIMED_OUT',
  'NSB_CONNECTION_FAILED',
  'NSB_HOST_NOT_FOUND',
  'NSB_LOGIN_REFUSED',
  'NSB_NOT_AMQP',
  'NSB_TLS_FAILED',
  'NSB_TRANSPORT_CLOSED',
  'NSB_VIRTUAL_HOST',
])

/** Whether the broker as a whole cannot be used, so that no message is to blame. */
export function isOutage(error: unknown): boolean {
  return error instanceof NsbError && outages.has(error.code)
}

/** The broker ended a channel: what was refused and why, in words. */
export function endedChannelError(error: unknown, what: string): NsbError {
  const named = channelError(error, what)
  if (named instanceof NsbError) return named
  return new NsbError({
    code: 'NSB_CHANNEL_CLOSED',
    message: `The broker ended the channel that was to ${what}: ${replyText(errorText(error))}.`,
    suggestions: ['Look at the queue and the log of the broker'],
    cause: error,
  })
}

/** What the broker takes at most, if it ended the channel because of a message that is larger. */
export function sizeLimitIn(error: unknown): number | undefined {
  const [, limit] = /message size \d+ is larger than configured max size (\d+)/.exec(errorText(error)) ?? []
  return replyCode(error) === 406 && limit !== undefined ? Number(limit) : undefined
}

/** The AMQP reply code of an error that closed a channel; undefined for anything else. */
export function replyCode(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'number' ? code : undefined
}

/** What stands in quotes in a close message: `NOT_FOUND - no queue 'x' in vhost '/'`. */
export function replyText(text: string): string {
  const [, message] = text.split(/message "(.*)/s, 2)
  const end = message?.search(/"(?:$|\W)/) ?? -1
  return plain((end < 0 ? /"([A-Z_]+ - [^"]*)"/.exec(text)?.[1] : message?.slice(0, end)) ?? text)
}

/** One line without control characters and without a full stop at the end. */
function plain(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .replace(/\.$/, '')
    .slice(0, 500)
}

function systemCode(error: unknown): string | undefined {
  if (error instanceof AggregateError) return systemCode(error.errors[0])
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
