import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { join, relative, sep } from 'node:path'

const debounceMs = 60
const neverEntered = new Set(['node_modules', 'dist'])
const code = /\.(?:[cm]?[jt]sx?|json)$/
const neverMeant = /\.(?:test|spec)(?:-d)?\.[cm]?[jt]sx?$/

export interface FolderWatch {
  close(): void
}

/**
 * Tells which code and JSON files below a folder have changed, shortly after the last change. Left out are folders called node_modules
 * or dist, those that begin with a dot, those named here, and tests.
 *
 * @param except absolute paths of folders
 * @param problem told once when something cannot be watched
 */
export function watchFolder(
  root: string,
  except: readonly string[],
  changed: (files: readonly string[]) => void,
  problem: (error: unknown) => void,
): FolderWatch {
  // Recursive watching of the system enters every folder, node_modules with its ten thousands of files as well.
  const watchers = new Map<string, FSWatcher>()
  const files = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let hasProblem = false

  const note = (file: string): void => {
    files.add(relative(root, file))
    clearTimeout(timer)
    timer = setTimeout(() => {
      const all = [...files]
      files.clear()
      changed(all)
    }, debounceMs)
  }
  const forget = (folder: string): void => {
    for (const [path, watcher] of watchers)
      if (path === folder || path.startsWith(folder + sep)) {
        watcher.close()
        watchers.delete(path)
      }
  }
  const failed = (folder: string, error: unknown): void => {
    forget(folder)
    if (hasProblem || statSync(folder, { throwIfNoEntry: false }) === undefined) return
    hasProblem = true
    problem(error)
  }
  const look = (folder: string, name: string | null, event: string): void => {
    if (name === null) return note(folder)
    const path = join(folder, name)
    if (isLeftOut(name) || except.includes(path)) return
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat?.isDirectory()) {
      // Removed and made again, it is another folder of the same name.
      if (event !== 'rename') return
      forget(path)
      enter(path, true)
    } else if (watchers.has(path)) {
      forget(path)
      note(path)
    } else if (code.test(name) && !neverMeant.test(name)) note(path)
  }
  const enter = (folder: string, isNew: boolean): void => {
    try {
      const watcher = watch(folder, (event, name) => look(folder, name, event))
      watcher.on('error', (error) => failed(folder, error))
      watchers.set(folder, watcher)
      // After the watch, so that what comes meanwhile is seen by one of the two.
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (isLeftOut(entry.name) || except.includes(join(folder, entry.name))) continue
        if (entry.isDirectory()) enter(join(folder, entry.name), isNew)
        else if (isNew) look(folder, entry.name, 'rename')
      }
    } catch (error) {
      failed(folder, error)
    }
  }
  enter(root, false)
  return {
    close() {
      clearTimeout(timer)
      forget(root)
    },
  }
}

function isLeftOut(name: string): boolean {
  return name.startsWith('.') || neverEntered.has(name)
}
