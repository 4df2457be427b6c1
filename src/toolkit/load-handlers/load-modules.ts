import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { propertyOf } from '../../runtime/thrown.ts'
import { BuildCache } from './build-cache.ts'
import { type Built, type BuiltModule, build } from './build.ts'
import { codeFrame, userFrame } from './frames.ts'
import { type Generation, newGeneration } from './generation.ts'
import { type Consent, requireTrust } from '../trust/trust.ts'

export interface LoadOptions {
  /** The project's folder. */
  readonly root: string
  /** TypeScript or JavaScript, absolute or relative to `root`. */
  readonly files: readonly string[]
  /** Where to build; by default below the project's node_modules. */
  readonly outDir?: string
  /** Who is asked before code that somebody else can change runs; undefined: nobody can be. */
  readonly consent?: Consent | undefined
}

export interface LoadedModule {
  /** Absolute. */
  readonly file: string
  /** Names, in the order in which the file declares them. */
  readonly exports: readonly string[]
  readonly namespace: Readonly<Record<string, unknown>>
}

export interface LoadedModules {
  readonly modules: readonly LoadedModule[]
  /** Removes what was built; modules that are still running may no longer import lazily. */
  dispose(this: void): Promise<void>
}

/**
 * Loads a project's TypeScript and JavaScript files without a build step: one build of all, so that they share what they import.
 * `nsbus` is the running copy. A second call sees changed files; it makes new module instances.
 *
 * @throws {NsbError} NSB_HANDLER_DOES_NOT_COMPILE with up to five places, NSB_HANDLER_DOES_NOT_LOAD when a file throws while it is loaded,
 * NSB_UNTRUSTED_FOLDER
 */
export async function loadModules({ root, files, outDir, consent }: LoadOptions): Promise<LoadedModules> {
  const sources = files.map((file) => resolve(root, file))
  if (sources.length === 0) return { modules: [], dispose: () => Promise.resolve() }
  await requireTrust({ kind: 'code', folder: root, consent })
  process.setSourceMapsEnabled(true)
  const generation = await newGeneration(root, outDir)
  try {
    const built = await builtFor(root, sources, generation)
    for (const { path, text } of built.outputs) {
      mkdirSync(dirname(join(generation.folder, path)), { recursive: true })
      writeFileSync(join(generation.folder, path), text)
    }
    const modules: LoadedModule[] = []
    // One after the other: a file that registers something when it is loaded does so in the order of the files.
    for (const [index, file] of sources.entries())
      modules.push(await load(root, file, built.modules[index] as BuiltModule, generation.folder))
    return { modules, dispose: generation.remove }
  } catch (error) {
    await generation.remove()
    throw error
  }
}

/** The build of these files: one that was kept, when nothing has changed since. */
async function builtFor(root: string, files: readonly string[], { base, folder, seesProject }: Generation): Promise<Built> {
  const cache = seesProject ? new BuildCache(base, root, files) : undefined
  const kept = cache?.read()
  if (kept !== undefined) return kept
  const startedAt = Date.now()
  const { built, inputs } = await build(root, files, folder, seesProject)
  if (inputs !== undefined) cache?.write(built, inputs, startedAt)
  return built
}

async function load(root: string, file: string, output: BuiltModule, folder: string): Promise<LoadedModule> {
  const namespace = (await withinDeadline(import(/* @vite-ignore */ pathToFileURL(join(folder, output.path)).href)).catch(
    (error: unknown) => {
      throw loadError(error, file, root, folder)
    },
  )) as Record<string, unknown>
  if (!output.isCommonJs) return { file, exports: output.exports, namespace }
  const exported = namespace['default']
  const members =
    (typeof exported === 'object' || typeof exported === 'function') && exported !== null ? (exported as Record<string, unknown>) : {}
  const named = typeof exported === 'function' ? { default: exported } : members
  return { file, exports: Object.keys(named), namespace: named }
}

const longestLoadMs = 30_000

// A top-level await that never ends would let the process run out of work and end without a word.
function withinDeadline<T>(loading: Promise<T>): Promise<T> {
  return new Promise((accept, refuse) => {
    const timer = setTimeout(
      () => refuse(new Error(`it did not finish loading within ${longestLoadMs / 1000} s; a top-level await may never end`)),
      longestLoadMs,
    )
    loading.then(accept, refuse).finally(() => clearTimeout(timer))
  })
}

function loadError(error: unknown, file: string, root: string, folder: string): NsbError {
  const name = relative(root, file)
  const place = userFrame(error, root)
  const at = place
    ? `\n${relative(root, place.file)}:${place.line}:${place.column}\n${codeFrame(place.file, place.line, place.column) ?? ''}`.trimEnd()
    : ''
  const missing = /Cannot find package '([^']+)'/.exec(errorText(error))?.[1]
  const text = errorText(error).replaceAll(join(folder, '/'), '').split('\n', 1)[0] as string
  // What refused a declaration knows best what to do about it; it may come from another copy of the library.
  const own = propertyOf(error, 'suggestions')
  const advice = Array.isArray(own) && own.length > 0 ? own.map(String) : ['Move what can fail into handle()']
  return new NsbError({
    code: 'NSB_HANDLER_DOES_NOT_LOAD',
    message: `'${name}' throws while it is loaded: ${missing === undefined ? text : `it imports '${missing}', which is not installed`}${at}`,
    suggestions: missing === undefined ? advice : [`npm install ${missing}`],
    cause: error,
    details: { file: name, ...(place ? { place: { ...place, file: relative(root, place.file) } } : {}) },
  })
}
