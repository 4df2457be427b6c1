import { randomUUID } from 'node:crypto'

let lastMs = 0
let time = ''
let counter = 0xfff

/**
 * A new GUID for a copy of a message. It starts with the time and a counter, so that files written within one tick of the file
 * system's clock still sort by name in the order of sending.
 *
 * @source RFC 9562, version 7
 */
export function newNativeId(ms: number): string {
  counter++
  if (ms >= lastMs + 1 || counter > 0xfff) {
    lastMs = Math.max(Math.floor(ms), lastMs + 1)
    const digits = lastMs.toString(16).padStart(12, '0')
    time = `${digits.slice(0, 8)}-${digits.slice(8)}-7`
    counter = 0
  }
  return time + counter.toString(16).padStart(3, '0') + randomUUID().slice(18)
}
