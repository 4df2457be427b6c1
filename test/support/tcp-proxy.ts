import { type Socket, connect, createServer } from 'node:net'

/** What happens to the bytes of a connection. */
export type Mood =
  /** They pass. */
  | 'pass'
  /** They stay where they are, both ways, and new connections are accepted all the same. */
  | 'stall'

/** A TCP proxy on a port of its own that can do to connections what networks do. */
export interface TcpProxy {
  readonly port: number
  /** Connections that are open now. */
  readonly open: number
  /** All bytes that clients have sent so far; for searching frames. */
  sent(): Buffer
  readonly mood: Mood
  become(mood: Mood): void
  /** Becomes that once a client has sent these bytes, which still pass. */
  becomeAfter(bytes: Buffer, mood: Mood): void
  /** Ends all connections with a reset. */
  reset(): void
  /** Lets so many more bytes of the client pass on each connection, then resets it: in the middle of a frame. */
  cutAfter(bytes: number): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  left: number
}

/** @param record keep what clients send, for {@link TcpProxy.sent} */
export async function startTcpProxy(target: number, record = false): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  const recorded: Buffer[] = []
  let mood: Mood = 'pass'
  let awaited: { readonly bytes: Buffer; readonly mood: Mood } | undefined

  const end = (pair: Pair): void => {
    pairs.delete(pair)
    pair.client.resetAndDestroy()
    pair.server.resetAndDestroy()
  }
  const apply = (pair: Pair): void => {
    for (const socket of [pair.client, pair.server])
      if (mood === 'stall') socket.pause()
      else socket.resume()
  }
  const become = (next: Mood): void => {
    mood = next
    awaited = undefined
    for (const pair of pairs) apply(pair)
  }
  const server = createServer((client) => {
    const pair: Pair = { client, server: connect(target, '127.0.0.1'), left: Number.POSITIVE_INFINITY }
    pairs.add(pair)
    client.on('data', (chunk: Buffer) => {
      if (record) recorded.push(chunk)
      const passed = chunk.length < pair.left ? chunk : chunk.subarray(0, pair.left)
      pair.left -= chunk.length
      if (awaited !== undefined && chunk.includes(awaited.bytes)) become(awaited.mood)
      pair.server.write(passed, () => {
        if (pair.left <= 0) end(pair)
      })
    })
    pair.server.on('data', (chunk: Buffer) => client.write(chunk))
    for (const [from, to] of [
      [client, pair.server],
      [pair.server, client],
    ] as const) {
      from.on('error', () => end(pair))
      from.on('end', () => to.end())
      from.on('close', () => pairs.delete(pair))
    }
    apply(pair)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as { readonly port: number }).port,
    get open() {
      return pairs.size
    },
    sent: () => Buffer.concat(recorded),
    get mood() {
      return mood
    },
    become,
    becomeAfter(bytes, next) {
      awaited = { bytes, mood: next }
    },
    reset() {
      for (const pair of pairs) end(pair)
    },
    cutAfter(bytes) {
      for (const pair of pairs) pair.left = bytes
    },
    async close() {
      for (const pair of pairs) end(pair)
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
