import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** Puts something at a path where a file should be. */
export type Strange = (path: string) => void | Promise<void>

/** What is no file, by its name. */
export const noFiles: Readonly<Record<string, Strange>> = {
  'a folder': (path) => mkdirSync(path),
  'a named pipe': (path) => void execFileSync('mkfifo', [path]),
  'a socket': (path) =>
    new Promise((resolve) => {
      const server = createServer()
      onTestFinished(() => void server.close())
      server.listen(path, resolve)
    }),
  'a link that leads to itself': (path) => symlinkSync(path, path),
  'a link to a file elsewhere': (path) => symlinkSync(fileURLToPath(import.meta.url), path),
  'a link into /proc': (path) => symlinkSync('/proc/self/environ', path),
  'a link that leads nowhere': (path) => symlinkSync(`${path}.gone`, path),
}

/** A file that is larger than anything that is read; it takes no room on the disk. */
export const tooLarge: Strange = (path) => {
  const file = openSync(path, 'w')
  ftruncateSync(file, 600 * 1024 * 1024)
  closeSync(file)
}
