import { readdirSync } from 'node:fs'
import type { Clock } from '../clock.ts'
import { Header } from '../../message/headers.ts'
import { errorText } from '../../message/nsb-error.ts'
import type { IncomingMessage, TapEvents } from '../transport.ts'
import { nativeIdOf } from './layout.ts'
import { type MessageFile, listMessages, readMessage } from './listing.ts'
import { type StorageFolder, listOrEmpty } from './storage.ts'
import { FolderWatcher } from './watcher.ts'

const pollMs = 100
/** A file that cannot be read may still be copied; after this age it is passed by. */
const unreadableAfterMs = 2000
const remembered = 100_000

/** Shows new files of a queue by reading them where they lie. What is taken within a moment may be missed. */
export class FolderTap {
  readonly #storage: StorageFolder
  readonly #queue: string
  readonly #seen: (message: IncomingMessage) => void
  readonly #clock: Clock
  readonly #ended: (reason: unknown) => void
  readonly #watcher: FolderWatcher
  #known: Set<string>
  #cancelPoll: (() => void) | undefined
  #stopped = false

  constructor(
    storage: StorageFolder,
    queue: string,
    seen: (message: IncomingMessage) => void,
    clock: Clock,
    warn: (warning: string) => void,
    events?: TapEvents,
  ) {
    this.#storage = storage
    this.#queue = queue
    this.#seen = seen
    this.#clock = clock
    this.#ended =
      events?.ended.bind(events) ?? ((reason): void => warn(`The tap on queue '${this.#queue}' has ended: ${errorText(reason)}`))
    this.#known = new Set(this.#list().map((file) => file.name))
    this.#watcher = new FolderWatcher(storage.queuePath(queue), () => this.#look())
    this.#poll()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelPoll?.()
    this.#watcher.close()
  }

  #poll(): void {
    this.#look()
    if (this.#stopped) return
    this.#watcher.open()
    this.#cancelPoll = this.#clock.after(pollMs, () => this.#poll())
  }

  #look(): void {
    if (this.#stopped) return
    try {
      if (this.#hasNews()) this.#showNews(this.#list())
    } catch (error) {
      // Nobody waits for this call, so an error would end the process. The tap ends instead, and says so.
      this.stop()
      this.#ended(error)
    }
  }

  #showNews(files: readonly MessageFile[]): void {
    if (this.#known.size > remembered) this.#known = new Set([...this.#known].filter((name) => files.some((file) => file.name === name)))
    for (const file of files) if (!this.#known.has(file.name)) this.#show(file)
  }

  #show(file: MessageFile): void {
    const reading = readMessage(this.#storage, this.#queue, `${this.#storage.queuePath(this.#queue)}/${file.name}`, file.name)
    if (reading.kind === 'unreadable' && this.#clock.now() - file.time < unreadableAfterMs) return
    this.#known.add(file.name)
    if (reading.kind !== 'message') return
    const nativeId = nativeIdOf(file.name)
    this.#seen({
      id: reading.headers[Header.MessageId] || nativeId,
      nativeId,
      headers: reading.headers,
      body: reading.body,
      queue: this.#queue,
      attempt: 1,
    })
  }

  #hasNews(): boolean {
    return listOrEmpty(this.#storage.queuePath(this.#queue), (folder) => readdirSync(folder)).some((name) => !this.#known.has(name))
  }

  #list(): readonly MessageFile[] {
    return listOrEmpty(this.#storage.queuePath(this.#queue), listMessages)
  }
}
