import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

const mounted: string[] = []

afterEach(() => {
  for (const path of mounted.splice(0).toReversed()) unmount(path)
})

/** Why no disk can be mounted here; undefined: it can. */
export function whyNoDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'nsb-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'pipe' })
    execFileSync('umount', [folder], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `mounting a tmpfs is not permitted: ${String(error).split('\n')[0]}`
  } finally {
    rmdirSync(folder)
  }
}

/** A disk of so many KiB, and of so many files if asked, at the path; it is unmounted after the test. */
export function mountDisk(path: string, kib: number, files?: number): void {
  mkdirSync(path, { recursive: true })
  const options = files === undefined ? `size=${kib}k` : `size=${kib}k,nr_inodes=${files}`
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' })
  mounted.push(path)
}

/** The same disk at another path too. */
export function mountAgain(disk: string, path: string): void {
  mkdirSync(path, { recursive: true })
  execFileSync('mount', ['--bind', disk, path], { stdio: 'pipe' })
  mounted.push(path)
}

/** Changes options of a mounted disk: `ro`, `rw`, `size=4096k`. Waits while a file is being written. */
export async function remount(path: string, option: string): Promise<void> {
  for (let tries = 0; ; tries++)
    try {
      execFileSync('mount', ['-o', `remount,${option}`, path], { stdio: 'pipe' })
      return
    } catch (error) {
      if (tries === 1000) throw error
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
}

/** Also while somebody uses it. */
export function unmount(path: string): void {
  try {
    execFileSync('umount', ['-l', path], { stdio: 'pipe' })
  } catch {
    // It was unmounted by the test.
  }
}

/** Fills the disk to its last byte with a file that nobody reads. */
export function fillDisk(path: string): void {
  for (const size of [1 << 20, 1 << 12])
    try {
      for (;;) writeFileSync(join(path, 'filler'), Buffer.alloc(size), { flag: 'a' })
    } catch (error) {
      if (!String(error).includes('ENOSPC')) throw error
    }
}
