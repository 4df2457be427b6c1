import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Runs node under its sampling profiler, and sums up the samples.
 *
 * @param {readonly string[]} words for node
 * @param {import('node:child_process').SpawnSyncOptions} options
 * @param {(frame: import('./cpu-profile.mjs').Frame) => string} kindOf what a frame counts as
 * @returns {[kind: string, ms: number][]} the largest first
 */
export function cpuProfile(words, options, kindOf) {
  const folder = mkdtempSync(join(tmpdir(), 'nsb-profile-'))
  try {
    const flags = ['--cpu-prof', '--cpu-prof-interval', '200', '--cpu-prof-dir', folder]
    const { status, stderr } = spawnSync(process.execPath, [...flags, ...words], { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
    if (status !== 0) throw new Error(`${words.join(' ')} ended with ${status}: ${stderr}`)
    /** @type {{ nodes: { id: number, callFrame: import('./cpu-profile.mjs').Frame }[], samples: number[], timeDeltas: number[] }} */
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8'))
    const kinds = new Map(nodes.map(({ callFrame, id }) => [id, kindOf(callFrame)]))
    /** @type {Map<string, number>} */
    const sums = new Map()
    samples.forEach((id, index) => {
      const kind = kinds.get(id) ?? ''
      sums.set(kind, (sums.get(kind) ?? 0) + (timeDeltas[index] ?? 0) / 1000)
    })
    return [...sums].toSorted(([, a], [, b]) => b - a)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
