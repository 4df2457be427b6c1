// Reached from the package's own types, so nothing here may need those of Node or of amqplib.

/** What the RabbitMQ transport needs to know; the same words as in a profile of `nsb.json`. */
export interface RabbitSettings {
  /** `amqp://user:password@host:port/vhost`, or `host=…;userName=…;password=…`. */
  readonly connection: string
  /** Further nodes of the cluster, `name` or `name:port`; used when the first cannot be reached. */
  readonly hosts?: readonly string[]
  readonly tls?: TlsSettings
  /** The same for all endpoints of a system; default: conventional. */
  readonly topology?: 'conventional' | 'direct'
  /** Of queues that are created; default: quorum. */
  readonly queueType?: 'quorum' | 'classic'
  /** Whether exchanges and classic queues survive a restart of the broker; default: true. */
  readonly durable?: boolean
  /** Direct topology: the topic exchange of events; default: `amq.topic`. */
  readonly eventExchange?: string
  readonly management?: ManagementSettings
  /** Where queues that must not be looked at again are noted, and messages kept that cannot stay whole; files nobody else may read. Default: nowhere. */
  readonly stateFolder?: string
  /** Bounds connecting, in ms; default: 30,000. */
  readonly timeoutMs?: number
  /** A message that is not confirmed for so long counts as failed, in ms; default: the connection decides. */
  readonly confirmTimeoutMs?: number
}

/** Certificates as PEM text or PKCS#12 bytes. */
export interface TlsSettings {
  /** Trusted authorities; default: those of the system. */
  readonly ca?: string | Uint8Array
  readonly certificate?: string | Uint8Array
  readonly key?: string | Uint8Array
  /** Certificate and key in one. */
  readonly pfx?: Uint8Array
  readonly passphrase?: string
  /** Log in with the client certificate instead of a password. */
  readonly externalAuth?: boolean
  /** false accepts any certificate; for tests only. */
  readonly verify?: boolean
}

/** Where the management API is and who asks; each falls back to the connection by itself. */
export interface ManagementSettings {
  /** Default: `http` on 15672, or `https` on 15671 with TLS, on the first host that answers. */
  readonly url?: string
  readonly user?: string
  readonly password?: string
  /** It may be that of another broker: then it is asked after the default one, and only believed if it is not. */
  readonly afterDefault?: boolean
}

/** The hosts of a configuration. */
export interface BrokerHosts {
  /** That of the connection itself, which the password came with. */
  readonly own: string
  readonly port: number
  readonly virtualHost: string
  /** Those of further nodes, in their order and without their ports. */
  readonly further: readonly string[]
  /** With TLS. */
  readonly isSecure: boolean
}

/** What is found out about a broker without changing anything on it. */
export interface BrokerReport {
  /** `amqp://user:***@host:5672/vhost` of the host that answered. */
  readonly address: string
  readonly product: string
  readonly version: string
  /** Of the management API; `problem` says why it cannot be used. */
  readonly management: { readonly address: string; readonly problem: string | undefined }
  /** Are the exchanges of delayed messages there? The first endpoint that starts makes them. */
  readonly hasDelays: boolean
  /** What the user may not do, or nobody can for now. */
  readonly refused: readonly string[]
}

export interface ProbeOptions {
  readonly endpoint: string
  readonly timeoutMs: number
  readonly warn: (warning: string) => void
}
