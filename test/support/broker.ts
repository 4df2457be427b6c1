import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { commandOf, pluginIsInstalled } from './rabbitmq-installation.ts'

const startsWithinMs = 60_000
/** In bytes: the default of newer brokers, for older ones too. */
export const largestBody = 16 * 1024 * 1024
/** In memory where there is such a place. */
const brokerFolders = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** What a private broker has beyond the usual. */
export interface BrokerOptions {
  /** Also listens with TLS, and lets clients in by certificate alone, where the plugin for it is installed. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string }
  /** Beside the management plugin. */
  readonly plugins?: readonly string[]
  /** Further lines of `rabbitmq.conf`. */
  readonly config?: string
  /** It can be joined with others that have the same. */
  readonly cluster?: ClusterOptions
}

/** What the nodes of a cluster share. */
export interface ClusterOptions {
  /** Of their name server. */
  readonly epmdPort: number
  readonly cookie: string
}

/** A private RabbitMQ with folders and ports of its own. */
export interface Broker {
  /** Such as `4.0.5`. */
  readonly version: string
  readonly port: number
  /** Of the TLS listener, when there is one. */
  readonly tlsPort: number
  readonly managementPort: number
  /** The name of its node. */
  readonly node: string
  /** Calls the management API. @returns the answer, parsed; undefined when it is empty */
  api(method: string, path: string, body?: unknown): Promise<unknown>
  /** Runs `rabbitmqctl` on it. @returns what it printed */
  control(...args: readonly string[]): Promise<string>
  /** Ends the process, and its messages stay on disk. */
  stop(): Promise<void>
  /** Starts it again on the same ports and folders. */
  start(): Promise<void>
  /** The process stands still, with its connections open, until it goes on. */
  freeze(): void
  thaw(): void
  /** Ends the process and removes its folders. */
  remove(): Promise<void>
}

const certificatePlugin = 'rabbitmq_auth_mechanism_ssl'

/** Whether clients can log in with their certificate. */
export const certificateLoginIsInstalled = (): boolean => pluginIsInstalled(certificatePlugin)

/** Starts the RabbitMQ that `NSB_TEST_RABBITMQ` names, else the one of this system. */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  for (let tries = 1; ; tries++)
    try {
      return await tryToStart(options)
    } catch (error) {
      // Somebody else may have taken a port that was free a moment ago.
      if (tries === 3) throw error
    }
}

async function tryToStart(options: BrokerOptions): Promise<Broker> {
  const folder = mkdtempSync(join(brokerFolders, 'nsb-broker-'))
  const end = endWithThisProcess(folder)
  const [port, managementPort, distributionPort, ownEpmdPort, tlsPort] = (await freePorts(5)) as [number, number, number, number, number]
  const epmdPort = options.cluster?.epmdPort ?? ownEpmdPort
  const path = (name: string): string => `${folder}/${name}`
  for (const name of ['home', 'data', 'log']) mkdirSync(path(name))
  if (options.cluster) writeFileSync(path('home/.erlang.cookie'), options.cluster.cookie, { mode: 0o400 })
  const plugins = [
    'rabbitmq_management',
    ...(options.tls && certificateLoginIsInstalled() ? [certificatePlugin] : []),
    ...(options.plugins ?? []),
  ]
  writeFileSync(path('plugins'), `[${plugins.join(',')}].\n`)
  writeFileSync(
    path('rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${port}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${managementPort}
collect_statistics_interval = 1000
max_message_size = ${largestBody}
log.console = false
${options.tls ? tlsConfig(options.tls, tlsPort) : ''}${options.config ?? ''}
`,
  )
  const env = {
    PATH: process.env['PATH'] ?? '',
    LANG: 'C.UTF-8',
    HOME: path('home'),
    RABBITMQ_NODENAME: `nsb${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_MNESIA_BASE: path('data'),
    RABBITMQ_LOG_BASE: path('log'),
    RABBITMQ_CONFIG_FILE: path('rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path('plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none',
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  }
  let child: ChildProcess | undefined

  const api = async (method: string, apiPath: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${managementPort}/api/${apiPath}`, {
      method,
      headers: { authorization: `Basic ${btoa('guest:guest')}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} /api/${apiPath}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  const control = async (...args: readonly string[]): Promise<string> => {
    const run = spawn(...commandOf('rabbitmqctl', ['-n', env.RABBITMQ_NODENAME, ...args]), { env, cwd: folder })
    const printed: Buffer[] = []
    run.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
    run.stderr.on('data', (chunk: Buffer) => printed.push(chunk))
    const code = await new Promise((resolve) => run.once('close', resolve))
    const text = Buffer.concat(printed).toString()
    if (code !== 0) throw new Error(`rabbitmqctl ${args.join(' ')}: ${text}`)
    return text
  }

  const start = async (): Promise<void> => {
    const output = openSync(path('output'), 'a')
    const started = spawn(...commandOf('rabbitmq-server'), { env, cwd: folder, detached: true, stdio: ['ignore', output, output] })
    closeSync(output)
    child = started
    const end = performance.now() + startsWithinMs
    for (;;) {
      try {
        await api('GET', 'overview')
        return
      } catch (error) {
        if (started.exitCode !== null || performance.now() > end)
          throw new Error(`The broker did not start: ${readFileSync(path('output'), 'utf8').slice(-2000)}`, { cause: error })
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  const stop = async (): Promise<void> => {
    const running = child
    if (running?.pid === undefined || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    // A killed broker starts as well from its folders as one that was asked to stop, and is six seconds faster.
    process.kill(-running.pid, 'SIGKILL')
    await ended
    child = undefined
  }

  const signal = (name: NodeJS.Signals): void => {
    if (child?.pid !== undefined) process.kill(-child.pid, name)
  }

  try {
    await start()
  } catch (error) {
    await end()
    throw error
  }
  return {
    version: ((await api('GET', 'overview')) as { readonly rabbitmq_version: string }).rabbitmq_version,
    port,
    tlsPort,
    managementPort,
    node: env.RABBITMQ_NODENAME,
    api,
    control,
    start,
    stop,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    remove: end,
  }
}

function tlsConfig({ ca, certificate, key }: NonNullable<BrokerOptions['tls']>, port: number): string {
  return `listeners.ssl.1 = 127.0.0.1:${port}
ssl_options.cacertfile = ${ca}
ssl_options.certfile = ${certificate}
ssl_options.keyfile = ${key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
auth_mechanisms.1 = PLAIN
${certificateLoginIsInstalled() ? 'auth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name' : ''}
`
}

/**
 * Ends every process of the broker, the name server of its Erlang included, and removes the folder: when the returned function is called,
 * and when this process has ended, however that was.
 */
function endWithThisProcess(folder: string): () => Promise<void> {
  const script = `
    cat >/dev/null
    for environment in $(grep -lzxF "HOME=$1/home" /proc/[0-9]*/environ 2>/dev/null); do
      process=\${environment#/proc/}
      kill -KILL "\${process%/environ}"
    done
    rm -rf "$1" || { sleep 1; rm -rf "$1"; }`
  // The operating system closes the pipe of a process that is killed.
  const watcher = spawn('sh', ['-c', script, 'sh', folder], { cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((resolve) => watcher.once('exit', () => resolve()))
  watcher.unref()
  return async () => {
    watcher.ref()
    watcher.stdin.end()
    await ended
  }
}

/**
 * Ports that nobody listens on now. They are below those that the operating system hands out by itself, or a client could get one while
 * the broker is not up.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const free = new Set<number>()
  while (free.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (await isFree(port)) free.add(port)
  }
  return [...free]
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
