const hidden = '***'

/**
 * A connection text without its password: `amqp://user:***@host/vhost`, also for the .NET form `host=…;username=…;password=…`. What cannot
 * be read as either is not shown at all.
 */
export function withoutPassword(connection: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(connection)) return urlWithoutPassword(connection)
  const parts = (connection.match(/(?:"[^"]*"|'[^']*'|[^;])+/g) ?? []).map((part) => part.split('='))
  if (parts.length > 0 && connection.includes('=')) {
    const value = (...names: string[]): string | undefined =>
      parts
        .find(([name = '']) => names.includes(name.trim().toLowerCase()))
        ?.slice(1)
        .join('=')
        .trim()
    const host = value('host')
    if (host !== undefined) {
      const [user, password] = [value('username', 'user'), value('password', 'pwd')]
      const login = user === undefined && password === undefined ? '' : `${user ?? ''}${password === undefined ? '' : `:${hidden}`}@`
      const port = value('port')
      const scheme = value('usetls')?.toLowerCase() === 'true' ? 'amqps' : 'amqp'
      return `${scheme}://${login}${host}${port === undefined ? '' : `:${port}`}/${value('virtualhost') ?? ''}`
    }
  }
  return hidden
}

function urlWithoutPassword(text: string): string {
  try {
    const url = new URL(text)
    // A password with a '/', '?' or '#' of its own has ended the host too early.
    if (url.pathname.includes('@') || url.hash !== '') return hidden
    const login = url.password !== '' ? `${url.username}:${hidden}@` : url.username !== '' ? `${url.username}@` : ''
    // Parameters may hold a password too.
    return `${url.protocol}//${login}${url.host}${url.pathname === '/' ? '' : url.pathname}${url.search === '' ? '' : `?${hidden}`}`
  } catch {
    return hidden
  }
}

/** Does it carry a password to a machine that is not this one? */
export function hasForeignPassword(connection: string): boolean {
  const shown = withoutPassword(connection)
  return shown === hidden || (shown.includes(`:${hidden}@`) && !/@(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)/.test(shown))
}

/**
 * A command, or any other text, without what looks like a password in it. What hints write for others to fill in stays as it is:
 * `amqp://user:password@host:5672/vhost` with no other host, and `password=…`.
 */
export function withoutPasswords(text: string): string {
  return withoutLogins(text).replaceAll(/\b(password|pwd)(\s*=\s*)(?!…(?:[;\s'"]|$))(?:"[^"]*"|'[^']*'|[^;\s'"]*)/gi, `$1$2${hidden}`)
}

const user = /[^\s:@/]*/y
const unbroken = /[^\s'"]*/y
const example = /user:password@host(?![\w.-])[^\s'"@]*(?:[\s'"]|$)/y

/** A password goes up to the last `@` before a blank or a quote. Texts may be of messages, so none of it is looked for twice. */
function withoutLogins(text: string): string {
  let shown = ''
  let [from, end, lastAt] = [0, 0, -1]
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at)) {
    at += '://'.length
    const colon = endOf(user, text, at)
    if (text[colon] !== ':' || endOf(example, text, at) > at) continue
    if (colon >= end) {
      end = endOf(unbroken, text, colon)
      lastAt = colon + text.slice(colon, end).lastIndexOf('@')
    }
    if (lastAt <= colon) continue
    shown += `${text.slice(from, colon)}:${hidden}`
    from = lastAt
    at = lastAt
  }
  return shown + text.slice(from)
}

/** Where a match that begins there ends; there is none: where it would have begun. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}
