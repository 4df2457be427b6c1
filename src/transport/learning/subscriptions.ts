import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { NsbError } from '../../message/nsb-error.ts'
import { type Clock, systemClock } from '../clock.ts'
import { namesOf } from '../hierarchy.ts'
import type { EventType, Subscriber } from '../transport.ts'
import { leftAloneBy } from './folders-in.ts'
import { checkAddress, checkName } from './layout.ts'
import { LeftAlone, LeftAloneError } from './left-alone.ts'
import { lookAt, readPlainFile, whatIs } from './plain-file.ts'
import { storageErrorOf } from './storage-error.ts'
import { StorageFolder, listOrEmpty, removeFile } from './storage.ts'

const markers: ReadonlySet<string> = new Set(['NServiceBus.IMessage', 'NServiceBus.ICommand', 'NServiceBus.IEvent'])
const lookAgainMs = 50
const giveUpAfterMs = 1000
/** In bytes; an address is the name of a folder. */
const longestAddress = 64 * 1024

/** Who subscribed to what: one folder for each event type, one file for each endpoint. */
export class Subscriptions {
  readonly #storage: StorageFolder
  readonly #clock: Clock
  readonly #warn: (warning: string) => void
  readonly #folder: string
  readonly #leftAlone: LeftAlone
  /** Those made here, by the path of their file. */
  readonly #made = new Map<string, string>()

  constructor(storage: StorageFolder, clock: Clock, warn: (warning: string) => void, leftAlone = new LeftAlone()) {
    this.#storage = storage
    this.#leftAlone = leftAlone
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
   * What is no file is no subscription, and is passed by. Whoever wrote a file that cannot be read would get no copy, so nobody gets one.
   *
   * @throws {NsbError} NSB_BAD_ADDRESS when a subscription names no queue of this storage
   * @throws {LeftAloneError} a subscription cannot be read
   */
  async addressesOf(event: EventType): Promise<readonly string[]> {
    const folders = new Set(listOrEmpty(this.#folder, (folder) => readdirSync(folder)))
    const addresses = new Set<string>()
    for (const name of namesOf(event)) {
      if (markers.has(name)) continue
      checkName(name, 'an event type')
      if (!folders.has(name)) continue
      for (const path of this.#filesOf(`${this.#folder}/${name}`)) {
        const address = await this.#read(path)
        if (address !== undefined) addresses.add(checkSubscriber(address, path))
      }
    }
    return [...addresses]
  }

  /** Every file is a subscription. */
  #filesOf(folder: string): readonly string[] {
    const entry = lookAt(folder)
    if (entry && !entry.isDirectory()) {
      this.#leaveAlone(new LeftAloneError(folder, `is ${whatIs(entry)}, where the folder of an event belongs`))
      return []
    }
    try {
      return listOrEmpty(folder, (path) => readdirSync(path)).map((file) => `${folder}/${file}`)
    } catch (error) {
      throw leftAloneBy(folder, error, [])
    }
  }

  /** .NET truncates the file and writes it in place, so an empty one is about to be filled. */
  async #read(path: string): Promise<string | undefined> {
    for (let waited = 0; ; waited += lookAgainMs) {
      const reading = readPlainFile(path, longestAddress)
      if (reading.kind === 'gone') return undefined
      if (reading.kind === 'refused') throw new LeftAloneError(path, `${reading.why}, so its subscriber would get no copy`)
      if (reading.kind === 'noFile') {
        this.#leaveAlone(new LeftAloneError(path, `is ${reading.what}, and no subscription`))
        return undefined
      }
      const address = reading.bytes.toString('utf8')
      if (address !== '') return address
      if (waited >= giveUpAfterMs) {
        this.#warn(`The subscription file '${path}' is empty and was skipped: its subscriber gets no copy of the event.`)
        return undefined
      }
      await new Promise<void>((resolve) => this.#clock.after(lookAgainMs, resolve))
    }
  }

  #leaveAlone(error: LeftAloneError): void {
    if (this.#leftAlone.isNews(error)) this.#warn(error.message)
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

/** @param path of the subscription, for the error @throws {NsbError} NSB_BAD_ADDRESS */
function checkSubscriber(address: string, path: string): string {
  try {
    return checkAddress(address)
  } catch (error) {
    if (!(error instanceof NsbError)) throw error
    const { code, details, message } = error
    throw new NsbError({
      code,
      message: `The subscription file '${path}' is refused. ${message}`,
      suggestions: ['Remove the file, and start the subscriber again'],
      details: { ...details, path },
    })
  }
}
