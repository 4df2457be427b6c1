import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NsbError } from '../../../src/message/nsb-error.ts'
import { parseConnection, parseHosts } from '../../../src/transport/rabbitmq/connection-settings.ts'
import { numRuns } from '../../property/runs.ts'

function parsed(text: string) {
  const { settings, warnings } = parseConnection(text)
  const { hosts, tls, user, virtualHost } = settings
  return { ...hosts[0], virtualHost, user, password: settings.revealPassword(), tls: tls !== undefined, warnings }
}

function problemsOf(text: string): string {
  try {
    parseConnection(text)
  } catch (error) {
    expect(error).toMatchObject({ code: 'NSB_BAD_CONNECTION' })
    return (error as NsbError).message
  }
  return 'none'
}

const guest = { virtualHost: '/', user: 'guest', password: 'guest', tls: false, warnings: [] }

describe('RMQ-14 a connection string that is an address', () => {
  it.each([
    ['amqp://h', { ...guest, host: 'h', port: 5672 }],
    ['AMQP://h/', { ...guest, host: 'h', port: 5672 }],
    ['amqps://h', { ...guest, host: 'h', port: 5671, tls: true }],
    ['AmqpS://h:1', { ...guest, host: 'h', port: 1, tls: true }],
    ['amqpx://h', { ...guest, host: 'h', port: 5672 }],
    ['amqp://h:5673/shop', { ...guest, host: 'h', port: 5673, virtualHost: 'shop' }],
    ['amqp://h/%2Fshop%2f', { ...guest, host: 'h', port: 5672, virtualHost: '/shop/' }],
    ['amqp://u@h', { ...guest, host: 'h', port: 5672, user: 'u' }],
    ['amqp://@h', { ...guest, host: 'h', port: 5672 }],
    ['amqp://u:@h', { ...guest, host: 'h', port: 5672, user: 'u', password: '' }],
    ['amqp://u%40x:p%3Aw%2F%40%20%23@h', { ...guest, host: 'h', port: 5672, user: 'u@x', password: 'p:w/@ #' }],
    ['amqp://[::1]:5673/v', { ...guest, host: '::1', port: 5673, virtualHost: 'v' }],
    ['amqp://[fe80::1]', { ...guest, host: 'fe80::1', port: 5672 }],
  ])('is read: %s', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  it('has a query that is ignored, with a warning', () => {
    expect(parsed('amqp://h/v?heartbeat=5')).toEqual({
      ...guest,
      host: 'h',
      port: 5672,
      virtualHost: 'v',
      warnings: ['The query of the connection string is ignored.'],
    })
  })

  it.each([
    ['amqp://h/a/b', /more than one segment.*%2F/],
    ['amqp://u:p:w@h', /more than one ':'.*%3A/],
    ['amqp://u:p w@h', /blank.*%20/],
    [' amqp://h', /begins with a blank/],
    ['amqp://h ', /contains a blank/],
    ['amqp://u:p%zz@h', /the password has a '%'/],
    ['amqp://', /names no host/],
    ['amqp:h', /not an address/],
    ['amqp://h:0', /port is no number/],
    ['amqp://h:65536', /port is no number/],
    ['amqp://u:p/w@h', /%2F/],
    ['amqp://u:p@w@h', /%40/],
    ['amqp://u:p#w@h', /%23/],
    ['amqp://u:12?w@h', /%3F/],
  ])('is refused: %s', (text, problem) => {
    expect(problemsOf(text)).toMatch(problem)
  })
})

describe('RMQ-14 a connection string of pairs', () => {
  it.each([
    ['host=h', { ...guest, host: 'h', port: 5672 }],
    [
      'HOST=h;VirtualHost=v;UserName=u;PassWord=p;useTls=True',
      { host: 'h', port: 5671, virtualHost: 'v', user: 'u', password: 'p', tls: true, warnings: [] },
    ],
    ['host=h:5673', { ...guest, host: 'h', port: 5673 }],
    ['host=h:5673;port=5674', { ...guest, host: 'h', port: 5674 }],
    [' host = h ; port = 1 ;', { ...guest, host: 'h', port: 1 }],
    ['host=h;password="a;b=c""d"', { ...guest, host: 'h', port: 5672, password: 'a;b=c"d' }],
    [`host=h;password='it''s; "mine"'`, { ...guest, host: 'h', port: 5672, password: `it's; "mine"` }],
    ['host=h;password=a=b', { ...guest, host: 'h', port: 5672, password: 'a=b' }],
    ['host=[::1]:5673', { ...guest, host: '::1', port: 5673 }],
    ['host=::1', { ...guest, host: '::1', port: 5672 }],
  ])('is read: %s', (text, expected) => {
    expect(parsed(text)).toEqual(expected)
  })

  it.each([
    'dequeuetimeout',
    'maxwaittimeforconfirms',
    'prefetchcount',
    'usepublisherconfirms',
    'certPath',
    'certPassphrase',
    'requestedHeartbeat',
    'retryDelay',
  ])('with the option %s is refused, and it says what to do instead', (option) => {
    expect(problemsOf(`host=h;${option}=1`)).toMatch(new RegExp(`the option '${option}' is not supported: .{5,}`, 'i'))
  })

  it('is refused with all that is wrong at once', () => {
    const message = problemsOf('host=a,b;port=x;useTls=maybe;prefetchcount=1;retryDelay=2')
    for (const part of [/several hosts/, /port is no number/, /'useTls' is neither/, /'prefetchcount'/, /'retrydelay'/])
      expect(message).toMatch(part)
  })

  it.each([
    ['', /neither|no 'host'/],
    ['username=u', /no 'host'/],
    ['nonsense', /neither an address/],
    ['http://h', /neither an address/],
  ])('is refused: %j', (text, problem) => {
    expect(problemsOf(text)).toMatch(problem)
  })

  it('has unknown options, which are named in a warning', () => {
    expect(parsed('vhost=v;host=h').warnings).toEqual([expect.stringMatching(/unknown option 'vhost'.*Known: host, port, virtualhost/)])
    expect(parsed('host=h;password=a;rest=b').warnings).toEqual([expect.stringMatching(/behind the password.*quotes/)])
    expect(parsed('host=h;amqp://u:s3cret@h?a=b').warnings).toEqual([expect.not.stringContaining('s3cret')])
  })

  it.each(['host=h password=s3cret', 'host=h;username=sales password=s3cret', 'host=h;virtualHost=/ , pwd = s3cret'])(
    'has no separator before the password, which would be taken for a name: %s',
    (text) => {
      expect(problemsOf(text)).toMatch(/a ';' is missing before '(?:password|pwd)='/)
      expect(problemsOf(text)).not.toContain('s3cret')
    },
  )

  it('may have anything in quotes', () => {
    expect(parsed('host=h;username="sales password=x";password=s').user).toBe('sales password=x')
  })
})

it('further hosts are read as those of pairs are', () => {
  expect(parseHosts(['a', 'b:1', '[::1]:2'], true)).toEqual([
    { host: 'a', port: 5671 },
    { host: 'b', port: 1 },
    { host: '::1', port: 2 },
  ])
  expect(() => parseHosts([':1'], false)).toThrow(/empty/)
})

describe('a password', () => {
  // Two halves that occur nowhere else, and anything between them.
  const [first, second] = ['Qz7Kx', 'Wv9Jp']
  const password = fc.string({ unit: 'binary', maxLength: 6 }).map((between) => `${first}${between}${second}`)

  /** Everything that a person or a log could get to see. */
  function shown(text: string): string {
    try {
      const { settings, warnings } = parseConnection(text)
      const all = settings.with({ hosts: parseHosts(['other:1'], false) })
      return [
        String(settings),
        inspect(settings, { depth: 9, showHidden: true }),
        JSON.stringify({ settings, all }),
        inspect({ all }),
        ...warnings,
      ].join('\n')
    } catch (error) {
      expect(error).toBeInstanceOf(NsbError)
      return [String(error), inspect(error, { depth: 9 }), JSON.stringify(error)].join('\n')
    }
  }
  const hides = (text: string): void => {
    const seen = shown(text)
    for (const half of [first, second]) expect(seen.toLowerCase()).not.toContain(half.toLowerCase())
  }

  it('is in no text, listing or error, however badly it is written into an address', () => {
    fc.assert(
      fc.property(password, fc.constantFrom('amqp', 'amqps', 'AMQP'), (secret, scheme) => {
        hides(`${scheme}://user:${secret}@host:5672/vhost`)
        hides(`${scheme}://user:${encodeURIComponent(secret)}@host`)
      }),
      { numRuns },
    )
  })

  it('is in no text, listing or error, however badly it is written into pairs', () => {
    fc.assert(
      fc.property(password, (secret) => {
        hides(`host=h;password=${secret};port=5672`)
        hides(`password=${secret};host=h`)
        hides(`host=h;password="${secret}"`)
        hides(`host=amqp://u:${secret}@h`)
        hides(`host=h:${secret}`)
      }),
      { numRuns },
    )
  })

  it('is read as it was, when it is written as it should be', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(parsed(`amqp://user:${encodeURIComponent(text)}@host`).password).toBe(text)
        expect(parsed(`host=h;password="${text.replaceAll('"', '""')}"`).password).toBe(text)
      }),
      { numRuns },
    )
  })
})
