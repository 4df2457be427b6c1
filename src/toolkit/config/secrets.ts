const hidden = '***'

/**
 * A connection text without its password: `amqp://user:***@host/vhost`, also for the .NET form `host=…;username=…;password=…`. What cannot
 * be read as either is not shown at all, and neither is one with a part that may have swallowed the password.
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
        .replace(/^(["'])(.*)\1$/, '$2')
    const host = value('host')
    if (host !== undefined) {
      const [user, password, port, virtualHost] = [value('username', 'user'), value('password', 'pwd'), value('port'), value('virtualhost')]
      // Behind a ';' that was forgotten.
      if ([host, user, port, virtualHost].some((each) => each !== undefined && !isPlain(each))) return hidden
      const login = user === undefined && password === undefined ? '' : `${user ?? ''}${password === undefined ? '' : `:${hidden}`}@`
      const scheme = value('usetls')?.toLowerCase() === 'true' ? 'amqps' : 'amqp'
      return `${scheme}://${login}${host}${port === undefined ? '' : `:${port}`}/${virtualHost ?? ''}`
    }
  }
  return hidden
}

/** No second value can be in it. */
const isPlain = (text: string): boolean => !/[\s=@;"']/.test(text)

function urlWithoutPassword(text: string): string {
  try {
    if (/\s/.test(text) || text.indexOf('@') !== text.lastIndexOf('@')) return hidden
    const url = new URL(text)
    // A password with a '/', '?' or '#' of its own has ended the host too early; one behind an encoded ':' is a part of the name.
    if (url.pathname.includes('@') || url.search.includes('@') || url.hash !== '' || /%(?:3a|3d|40|2f|20)/i.test(url.username))
      return hidden
    const login = url.password !== '' ? `${url.username}:${hidden}@` : url.username !== '' ? `${url.username}@` : ''
    // Parameters may hold a password too.
    return `${url.protocol}//${login}${url.host}${url.pathname === '/' ? '' : url.pathname}${url.search === '' ? '' : `?${hidden}`}`
  } catch {
    return hidden
  }
}

/** A further host: one with more than a name and a port in it was meant to be a connection. */
export const hostWithoutPassword = (host: string): string => (/^[\w.:[\]-]*$/.test(host) ? host : hidden)

/** The name of a variable: what no variable is called may be what was meant to be in it. */
export const variableWithoutPassword = (name: string): string => (/^[\w.()-]*$/.test(name) ? name : hidden)

/** Words of a command line with or without quotes, a quote that nothing closes, and what is between them. */
const commandWords = /"[^"]*"|'[^']*'|[^\s'"]+|\s+|["']/g
const isSecretOption = (word: string): boolean => /^--?\w+$/.test(word) && /password|passwd|pwd|pass|token|secret|key/i.test(word)

/** A command line, whose words may be a login. */
export function commandWithoutPasswords(command: string): string {
  let before = ''
  return withoutPasswords(command).replaceAll(commandWords, (word) => {
    if (/^(?:\s|["']$)/.test(word)) return word
    const option = before
    before = word
    if (isSecretOption(option)) return hidden
    const isLogin = /^(?:-u|--user)=?$/.test(option) || /^(?:-u|--user)/.test(word)
    const colon = isLogin ? word.indexOf(':') : -1
    return colon < 0 ? word : `${word.slice(0, colon + 1)}${hidden}`
  })
}

/** Does it carry a password to a machine that is not this one? */
export function hasForeignPassword(connection: string): boolean {
  const shown = withoutPassword(connection)
  return shown === hidden || (shown.includes(`:${hidden}@`) && !/@(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)/.test(shown))
}

/**
 * Any text without what looks like a password in it. What hints write for others to fill in stays as it is:
 * `amqp://user:password@host:5672/vhost` with no other host, and `password=…`.
 */
export function withoutPasswords(text: string): string {
  return withoutLogins(text).replaceAll(
    /\b(password|passwd|pwd|passphrase|secret|token|sharedaccesskey|accountkey|api[_-]?key|sig)(\s*=\s*)(?!…(?:[;\s'"]|$))(?:\\?"(?:[^"]|"")*"|'(?:[^']|'')*'|\\?["'][^\n]*|[^;'"\n]*(?:;(?!\s*(?:host|port|virtualhost|user|username|usetls|password|pwd)\s*=)[^;'"\n]*)*)/gi,
    `$1$2${hidden}`,
  )
}

/** What stands before a login: of an address, of one that was taken for a path, and of one that is misspelt. */
const beginning = /\b(?:amqps?|https?)[:/\\]+|:\/{2,}|:[/\\](?![/\\])/gi
const user = /[^\s:@/]*/y
const hiddenOne = /:\*{3}@/y
const port = /:\d{1,5}(?!\w)/y
const example = /user:password@host(?![\w.-])[^\s'"@]*(?:[\s'"]|$)/y

/**
 * A password goes up to the last `@` of what has no blank in it, or before a quote, the end of the line or the next address; where there is none and it is no
 * port, the end of the line alone ends it. In quotes it goes up to the last `@` in them. Texts may be of messages, so none of it is looked for twice.
 */
function withoutLogins(text: string): string {
  const [unbroken, unquoted] = [new Stretch(text, /[\s'"]/g), new Stretch(text, /['"\n]|:\/\//g)]
  const [line, quoted] = [new Stretch(text, /\n/g), new Stretch(text, /['"]/g)]
  const lastBefore = { quote: new Latest(text, /['"]/g), blank: new Latest(text, /\s/g) }
  let [shown, from] = ['', 0]
  beginning.lastIndex = 0
  for (let match = beginning.exec(text); match !== null; match = beginning.exec(text)) {
    const at = beginning.lastIndex
    // Behind the third slash of file:/// is a path.
    const isFile = match[0].length > 3 && text.slice(Math.max(0, match.index - 4), match.index).toLowerCase() === 'file'
    const colon = endOf(user, text, at)
    // The next one may begin with this ':'.
    beginning.lastIndex = Math.max(at, from)
    if (at < from || isFile || text[colon] !== ':' || endOf(example, text, at) > at) continue
    const isQuoted = lastBefore.quote.index(match.index) > lastBefore.blank.index(match.index)
    const mayBePort = endOf(port, text, colon) > colon
    const isPath = match[0].length === 2
    const isHidden = endOf(hiddenOne, text, colon) > colon
    const stretches = isQuoted ? [quoted] : isPath || isHidden ? [unbroken] : mayBePort ? [unquoted] : [unquoted, line]
    const end = [...stretches, unbroken].map((stretch) => stretch.lastAt(colon)).find((each) => each > colon)
    if (end === undefined) continue
    // What hangs on it without a blank may be the rest of the password, with an address in it.
    const last = unbroken.lastAt(end)
    shown += `${text.slice(from, colon)}:${hidden}`
    from = last
    beginning.lastIndex = last
  }
  return shown + text.slice(from)
}

/** Where stretches of a text end that some signs divide, and where the last `@` of each is; asked from left to right. */
class Stretch {
  readonly #text: string
  readonly #divider: RegExp
  #end = 0
  #lastAt = -1

  constructor(text: string, divider: RegExp) {
    this.#text = text
    this.#divider = divider
  }

  /** In the stretch that a place is in; before that place: there is none behind it. */
  lastAt(place: number): number {
    if (place < this.#end) return this.#lastAt
    this.#divider.lastIndex = place
    this.#end = this.#divider.exec(this.#text)?.index ?? this.#text.length
    this.#lastAt = place + this.#text.slice(place, this.#end).lastIndexOf('@')
    if (this.#lastAt < place) this.#lastAt = -1
    return this.#lastAt
  }
}

/** Where the last of some signs before a place is; asked from left to right. */
class Latest {
  readonly #text: string
  readonly #sign: RegExp
  #found = -1
  #next: number | undefined

  constructor(text: string, sign: RegExp) {
    this.#text = text
    this.#sign = sign
  }

  /** -1: there is none. */
  index(before: number): number {
    for (;;) {
      this.#next ??= this.#sign.exec(this.#text)?.index ?? this.#text.length
      if (this.#next >= before) return this.#found
      this.#found = this.#next
      this.#next = undefined
    }
  }
}

/** Where a match that begins there ends; there is none: where it would have begun. */
function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}
