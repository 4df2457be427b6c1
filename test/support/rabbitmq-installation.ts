import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A RabbitMQ that tests can start. */
interface Installation {
  /** What its programs see as `/`. Another folder brings an Erlang and a C library of its own. */
  readonly root: string
  /** Where its `bin` and `lib` are, inside the root. */
  readonly home: string
}

const usualHome = '/usr/lib/rabbitmq'
const named = process.env['NSB_TEST_RABBITMQ']

const candidates: readonly Installation[] = named
  ? [
      { root: named, home: usualHome },
      { root: '/', home: named },
    ]
  : [{ root: '/', home: usualHome }]
const installed = candidates.find(({ root, home }) => existsSync(join(root, home, 'bin/rabbitmq-server')))

/** Why no broker can be started; undefined: one can. */
export function whyNoBroker(): string | undefined {
  if (installed !== undefined) return undefined
  return named
    ? `NSB_TEST_RABBITMQ names '${named}', which has neither ${usualHome.slice(1)}/bin/rabbitmq-server nor bin/rabbitmq-server`
    : 'no RabbitMQ is installed: apt-get install rabbitmq-server'
}

function installation(): Installation {
  if (installed === undefined) throw new Error(`These tests start brokers of their own, and ${whyNoBroker()}`)
  return installed
}

/** Whether the plugin came with the broker, whatever its version. */
export function pluginIsInstalled(name: string): boolean {
  const { root, home } = installation()
  const files = readdirSync(join(root, home, 'lib'), { recursive: true, encoding: 'utf8' })
  return files.some((file) => new RegExp(`/${name}(-[^/]*)?(\\.ez)?$`).test(file))
}

/**
 * The mounts are in a namespace of their own: nobody else sees them, and they go with the last process in it. Folders of tests, such as
 * those with certificates, have the same path inside as outside.
 */
const enter = `
root=$1 temporary=$2
shift 2
for place in /dev /proc "$temporary"; do mkdir -p "$root$place" && mount --rbind "$place" "$root$place" || exit 1; done
exec chroot "$root" "$@"`

/** How a program of the broker, such as `rabbitmqctl`, is started. */
export function commandOf(program: 'rabbitmq-server' | 'rabbitmqctl', args: readonly string[] = []): readonly [string, readonly string[]] {
  const { root, home } = installation()
  const command = [join(home, 'bin', program), ...args] as const
  return root === '/'
    ? [command[0], command.slice(1)]
    : [
        'unshare',
        ['--mount', 'sh', '-c', enter, 'sh', root, tmpdir(), 'env', `PATH=${join(home, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`, ...command],
      ]
}
