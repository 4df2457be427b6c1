import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const home = '/usr/lib/rabbitmq'
const startsWithinMs = 60_000
/** In memory where there is such a place. */
const brokerFolders = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
const prefix = 'nsb-broker-'
/** In the folder of a broker: the process that made it. */
const ownerFile = 'owner'
const madeWithinMs = 60_000

/** What a private broker has beyond the usual. */
export interface BrokerOptions {
  /** Also listens with TLS, and lets clients in by certificate alone, where the plugin for it is installed. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string }
  /** Further lines of `rabbitmq.conf`. */
  readonly config?: string
}

/** A private RabbitMQ with folders and ports of its own. */
export interface Broker {
  readonly port: number
  /** Of the TLS listener, when there is one. */
  readonly tlsPort: number
  readonly managementPort: number
  /** Calls the management API. @returns the answer, parsed; undefined when it is empty */
  api(method: string, path: string, body?: unknown): Promise<unknown>
  /** Runs `rabbitmqctl` on it. @returns what it printed */
  control(...args: readonly string[]): Promise<string>
  /** Ends the process, and its messages stay on disk. */
  stop(): Promise<void>
  /** Starts it again on the same ports and folders. */
  start(): Promise<void>
  /** Ends the process and removes its folders. */
  remove(): Promise<void>
}

export const brokerIsInstalled = (): boolean => spawnSync('test', ['-x', `${home}/bin/rabbitmq-server`]).status === 0

/** Whether clients can log in with their certificate. */
export function certificateLoginIsInstalled(): boolean {
  const found = spawnSync('find', [`${home}/lib`, '-maxdepth', '3', '-name', 'rabbitmq_auth_mechanism_ssl*'], { encoding: 'utf8' })
  return found.stdout.trim() !== ''
}

export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  removeLeftBrokers()
  const folder = mkdtempSync(join(brokerFolders, prefix))
  writeFileSync(join(folder, ownerFile), String(process.pid))
  const [port, managementPort, distributionPort, epmdPort, tlsPort] = (await freePorts(5)) as [number, number, number, number, number]
  const path = (name: string): string => `${folder}/${name}`
  for (const name of ['home', 'data', 'log']) mkdirSync(path(name))
  const plugins = ['rabbitmq_management', ...(options.tls && certificateLoginIsInstalled() ? ['rabbitmq_auth_mechanism_ssl'] : [])]
  writeFileSync(path('plugins'), `[${plugins.join(',')}].\n`)
  writeFileSync(
    path('rabbitmq.conf'),
    `listeners.tcp.1 = 127.0.0.1:${port}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${managementPort}
collect_statistics_interval = 1000
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
    const run = spawn(`${home}/bin/rabbitmqctl`, ['-n', env.RABBITMQ_NODENAME, ...args], { env, cwd: folder })
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
    const started = spawn(`${home}/bin/rabbitmq-server`, [], { env, cwd: folder, detached: true, stdio: ['ignore', output, output] })
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

  await start()
  return {
    port,
    tlsPort,
    managementPort,
    api,
    control,
    start,
    stop,
    async remove() {
      await stop()
      spawnSync('epmd', ['-port', String(epmdPort), '-kill'], { env, stdio: 'ignore' })
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
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
 * Removes what test runs that were killed have left of their brokers, once nothing of them lives: neither who made it, who may have
 * stopped it for a while, nor the broker, which outlives a maker that was killed.
 */
export function removeLeftBrokers(parent: string = brokerFolders): void {
  const processes = environments()
  for (const name of readdirSync(parent)) {
    const folder = join(parent, name)
    if (!name.startsWith(prefix) || isInUse(folder)) continue
    const own = processes.filter(({ environment }) => environment.includes(`HOME=${folder}/`))
    if (own.some(({ program }) => program !== 'epmd')) continue
    // The name server has no broker to name any more.
    for (const { pid } of own) process.kill(pid)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** By its maker, who may be about to say so. */
function isInUse(folder: string): boolean {
  try {
    const owner = readFileSync(join(folder, ownerFile), 'utf8')
    return existsSync(`/proc/${owner}`)
  } catch {
    const made = statSync(folder, { throwIfNoEntry: false })
    return made === undefined || Date.now() - made.mtimeMs < madeWithinMs
  }
}

/** Of every process that may be asked. */
function environments(): readonly { readonly pid: number; readonly program: string; readonly environment: string }[] {
  const pids = existsSync('/proc') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : []
  return pids.flatMap((pid) => {
    try {
      const [environment, program] = ['environ', 'comm'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8').trim())
      return [{ pid: Number(pid), program: program ?? '', environment: environment ?? '' }]
    } catch {
      // It has ended, or is somebody else's.
      return []
    }
  })
}

/** Ports that nobody listens on now. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
