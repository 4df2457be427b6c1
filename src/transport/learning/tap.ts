import type { Clock } from '../clock.ts'
import { Header } from '../../message/headers.ts'
import { errorText } from '../../message/nsb-error.ts'
import type { IncomingMessage, TapEvents } from '../transport.ts'
import { FileNames } from './file-names.ts'
import { entriesIfAny, sendTime } from './folder-snapshot.ts'
import { nativeIdOf, queueFolders } from './layout.ts'
import { lookAt } from './plain-file.ts'
import { readMessage } from './reading.ts'
import type { StorageFolder } from './storage.ts'
import { FolderWatcher } from './watcher.ts'

const pollMs = 100
/** A file that cannot be read may still be copied; after this age it is passed by. */
const unreadableAfterMs = 2000
/** Names of files that have gone, since one that is put back is no news. */
const remembered = 100_000
/** A folder of a million files takes long to list, so the pause before the next time is so many times as long. */
const pausePerLook = 20

interface NewFile {
  readonly name: string
  /** When it was sent, in ms since 1970. */
  readonly time: number
}

/**
 * Shows new files of a queue by reading them where they lie. What is taken within a moment may be missed. The system names the files that
 * change; listing the folder finds what it did not name.
 */
export class FolderTap {
  readonly #storage: StorageFolder
  readonly #queue: string
  readonly #seen: (message: IncomingMessage) => void
  readonly #clock: Clock
  readonly #ended: (reason: unknown) => void
  readonly #watcher: FolderWatcher
  #known = new FileNames()
  /** Not readable yet. */
  readonly #unread = new Set<string>()
  #lookAfter = 0
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
    for (const { name } of entriesIfAny(this.#folder)) this.#known.add(name)
    this.#watcher = new FolderWatcher(this.#folder, (name) => this.#attempt(() => (name === undefined ? this.#look() : this.#lookAt(name))))
    this.#poll()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelPoll?.()
    this.#watcher.close()
  }

  get #folder(): string {
    return this.#storage.queuePath(this.#queue)
  }

  #poll(): void {
    this.#attempt(() => {
      for (const name of this.#unread) this.#lookAt(name)
      if (performance.now() >= this.#lookAfter) this.#look()
    })
    if (this.#stopped) return
    this.#watcher.open()
    this.#cancelPoll = this.#clock.after(pollMs, () => this.#poll())
  }

  #attempt(look: () => void): void {
    if (this.#stopped) return
    try {
      look()
    } catch (error) {
      // Nobody waits for this call, so an error would end the process. The tap ends instead, and says so.
      this.stop()
      this.#ended(error)
    }
  }

  #look(): void {
    const start = performance.now()
    let present = 0
    const news: NewFile[] = []
    for (const { name } of entriesIfAny(this.#folder)) {
      present++
      const file = this.#newFile(name)
      if (file) news.push(file)
    }
    if (this.#known.length > 2 * present + remembered) this.#forgetGone()
    for (const file of news.toSorted((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1))) this.#show(file)
    const end = performance.now()
    this.#lookAfter = end + pausePerLook * (end - start)
  }

  #lookAt(name: string): void {
    const file = this.#newFile(name)
    if (file) this.#show(file)
    else this.#unread.delete(name)
  }

  #newFile(name: string): NewFile | undefined {
    if (queueFolders.has(name) || this.#known.has(name)) return undefined
    const stat = lookAt(`${this.#folder}/${name}`)
    return stat?.isFile() ? { name, time: sendTime(stat) } : undefined
  }

  #forgetGone(): void {
    const known = new FileNames()
    for (const { name } of entriesIfAny(this.#folder)) if (this.#known.has(name)) known.add(name)
    this.#known = known
  }

  #show({ name, time }: NewFile): void {
    const reading = readMessage(this.#storage, this.#queue, `${this.#folder}/${name}`, name)
    if (reading.kind === 'unreadable' && this.#clock.now() - time < unreadableAfterMs) return void this.#unread.add(name)
    this.#unread.delete(name)
    this.#known.add(name)
    if (reading.kind !== 'message') return
    const nativeId = nativeIdOf(name)
    this.#seen({
      id: reading.headers[Header.MessageId] || nativeId,
      nativeId,
      headers: reading.headers,
      body: reading.body,
      queue: this.#queue,
      attempt: 1,
    })
  }
}
