import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import type { TemporaryQueue } from '../transport.ts'
import { checkAddress } from './layout.ts'
import { lookAt } from './plain-file.ts'
import { type StorageFolder, listOrEmpty } from './storage.ts'
import { removeTree } from './transaction.ts'

const dayMs = 86_400_000

/** A queue folder `<prefix>.<random>`. Earlier ones of the prefix that nothing touched for a day, or for longer if asked, are removed. */
export function makeTemporaryQueue(storage: StorageFolder, prefix: string, expiresAfterMs: number, now: number): TemporaryQueue {
  const keepMs = Math.max(dayMs, expiresAfterMs)
  for (const queue of storage.queueNames())
    if (
      queue.startsWith(`${prefix}.`) &&
      /^[0-9a-f]{16}$/.test(queue.slice(prefix.length + 1)) &&
      lastUse(storage.queuePath(queue)) < now - keepMs
    )
      removeTree(storage.queuePath(queue))
  const address = checkAddress(`${prefix}.${randomBytes(8).toString('hex')}`)
  storage.createQueue(address)
  return { address, goesByItself: false, remove: async () => removeTree(storage.queuePath(address)) }
}

function lastUse(folder: string): number {
  const paths = [folder, ...listOrEmpty(folder, (path) => readdirSync(path)).map((name) => `${folder}/${name}`)]
  return Math.max(...paths.map((path) => lookAt(path)?.mtimeMs ?? 0))
}
