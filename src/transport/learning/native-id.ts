import { newGuid } from '../../message/ids.ts'

let lastMs = 0
let counter = 0

/**
 * A new GUID for a copy of a message. It starts with the time and a counter, so that files written within one tick of the file
 * system's clock still sort by name in the order of sending.
 *
 * @source RFC 9562, version 7
 */
export function newNativeId(ms: number): string {
  const whole = Math.floor(ms)
  counter++
  if (whole > lastMs || counter > 0xfff) {
    lastMs = Math.max(whole, counter > 0xfff ? lastMs + 1 : whole)
    counter = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}${newGuid().slice(18)}`
}
