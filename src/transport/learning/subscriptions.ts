import { randomUUID } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { type Clock, systemClock } from '../clock.ts'
import { namesOf } from '../hierarchy.ts'
import type { EventType, Subscriber } from '../transport.ts'
import { checkAddress, checkName, errorCode } from './layout.ts'
import { storageErrorOf } from './storage-error.ts'
import { StorageFolder, listOrEmpty, removeFile } from './storage.ts'

const markers: ReadonlySet<string> = new Set(['NServiceBus.IMessage', 'NServiceBus.ICommand', 'NServiceBus.IEvent'])
const lookAgainMs = 50
const giveUpAfterMs = 1000

/** Who subscribed to what: one folder for each event type, one file for each endpoint. */
export class Subscriptions {
  readonly #storage: StorageFolder
  readonly #clock: Clock
  readonly #warn: (warning: string) => void
  readonly #folder: string
  /** Those made here, by the path of their file. */
  readonly #made = new Map<string, string>()

  constructor(storage: StorageFolder, clock: Clock, warn: (warning: string) => void) {
    this.#storage = storage
    this.#clock = clock
    this.#warn = warn
    this.#folder = `${storage.path}/.events`
  }

  add(subscriber: Subscriber, event: EventType): void {
    // Every file in an event folder is taken for a subscriber, so the file is made elsewhere and moved in.
    this.#write(this.#pathOf(subscriber, event), checkAddress(subscriber.queue))
  }

  remove(subscriber: Subscriber, event: EventType): void {
    const path = this.#pathOf(subscriber, event)
    this.#made.delete(path)
    removeFile(path)
  }

  /** Writes again what was subscribed to here, after the storage folder has been removed. */
  restore(): void {
    for (const [path, queue] of this.#made) this.#write(path, queue)
  }

  /**
   * The distinct addresses of all subscribers to the event or to anything it is assignable to, `System.Object` included.
   *
   * @throws {NsbError} NSB_BAD_ADDRESS when a subscription names no queue of this storage
   */
  async addressesOf(event: EventType): Promise<readonly string[]> {
    const folders = new Set(listOrEmpty(this.#folder, (folder) => readdirSync(folder)))
    const addresses = new Set<string>()
    for (const name of namesOf(event)) {
      if (markers.has(name)) continue
      checkName(name, 'an event type')
      if (!folders.has(name)) continue
      for (const file of listOrEmpty(`${this.#folder}/${name}`, (folder) => readdirSync(folder))) {
        const address = await this.#read(`${this.#folder}/${name}/${file}`)
        if (address !== undefined) addresses.add(checkAddress(address))
      }
    }
    return [...addresses]
  }

  /** .NET truncates the file and writes it in place, so an empty one is about to be filled. */
  async #read(path: string): Promise<string | undefined> {
    for (let waited = 0; ; waited += lookAgainMs) {
      const address = readSubscription(path)
      if (address === undefined || address !== '') return address
      if (waited >= giveUpAfterMs) {
        this.#warn(`The subscription file '${path}' is empty and was skipped: its subscriber gets no copy of the event.`)
        return undefined
      }
      await new Promise<void>((resolve) => this.#clock.after(lookAgainMs, resolve))
    }
  }

  #write(path: string, queue: string): void {
    this.#storage.writeWhole(path, queue, randomUUID())
    this.#made.set(path, queue)
  }

  #pathOf(subscriber: Subscriber, event: EventType): string {
    return `${this.#folder}/${checkName(event.fullName, 'an event type')}/${checkName(subscriber.endpoint, 'an endpoint')}.subscription`
  }
}

/**
 * The queues that get a copy of the event when it is published now.
 *
 * @param storage the storage folder
 * @throws {NsbError} NSB_BAD_ADDRESS, NSB_BAD_NAME, and a {@link StorageError} for what the operating system refuses
 */
export async function subscribersIn(storage: string, event: EventType): Promise<readonly string[]> {
  try {
    return await new Subscriptions(new StorageFolder(storage), systemClock, () => undefined).addressesOf(event)
  } catch (error) {
    throw storageErrorOf(error, storage)
  }
}

function readSubscription(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'EISDIR') return undefined
    throw error
  }
}
