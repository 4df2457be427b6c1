import { statSync } from 'node:fs'

/**
 * Opening a pipe that nobody writes into waits for ever, and no signal ends that. Those of a shell, such as `<(jq …)`, have a writer.
 *
 * @throws an error in words for one that has a name; and what `stat` throws
 */
export function refuseNamedPipe(path: string): void {
  if (/^\/(dev\/fd|proc)\//.test(path) || !statSync(path).isFIFO()) return
  throw new Error(`it is a named pipe; read it with cat: cat '${path}' | nsb … -`)
}
