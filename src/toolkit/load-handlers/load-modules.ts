import { readFile } from 'node:fs/promises'
import { extname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildOptions, BuildResult, Loader, Metafile } from 'esbuild'
import { NsbError, errorText } from '../../message/nsb-error.ts'
import { buildPlugin, ownPlaces } from './build-plugin.ts'
import { compileError } from './compile-error.ts'
import { inOrderOfAppearance } from './export-order.ts'
import { codeFrame, userFrame } from './frames.ts'
import { newGeneration } from './generation.ts'

export interface LoadOptions {
  /** The project's folder. */
  readonly root: string
  /** TypeScript or JavaScript, absolute or relative to `root`. */
  readonly files: readonly string[]
  /** Where to build; by default below the project's node_modules. */
  readonly outDir?: string
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
 * @throws {NsbError} NSB_HANDLER_DOES_NOT_COMPILE with up to five places, NSB_HANDLER_DOES_NOT_LOAD when a file throws while it is loaded
 */
export async function loadModules({ root, files, outDir }: LoadOptions): Promise<LoadedModules> {
  const sources = files.map((file) => resolve(root, file))
  if (sources.length === 0) return { modules: [], dispose: () => Promise.resolve() }
  process.setSourceMapsEnabled(true)
  const generation = await newGeneration(root, outDir)
  try {
    const metafile = await build(root, sources, generation.folder, generation.seesProject)
    const modules: LoadedModule[] = []
    // One after the other: a file that registers something when it is loaded does so in the order of the files.
    for (const file of sources) modules.push(await load(root, file, outputOf(metafile, file, root), generation.folder))
    return { modules, dispose: generation.remove }
  } catch (error) {
    await generation.remove()
    throw error
  }
}

async function build(root: string, files: readonly string[], folder: string, seesProject: boolean): Promise<Metafile> {
  const esbuild = await import('esbuild')
  const options = {
    absWorkingDir: root,
    entryPoints: files.map((file) => ({ in: file, out: relative(root, file).replaceAll('..', '_') })),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: `node${process.versions.node}`,
    packages: 'external',
    plugins: [buildPlugin(root, seesProject)],
    define: ownPlaces,
    // Handlers and messages are known by their class names, and two files may have classes of one name.
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    logLevel: 'silent',
    // Bundled CommonJS calls require, which an ES module does not have.
    banner: { js: `import { createRequire as nsb$createRequire } from 'node:module';const require = nsb$createRequire(import.meta.url);` },
  } as const satisfies BuildOptions
  const result: BuildResult<{ metafile: true }> = await esbuild
    .build<typeof options & { metafile: true }>({ ...options } as never)
    .catch((error: unknown) => {
      throw compileError(error)
    })
  return result.metafile
}

interface Output {
  readonly path: string
  readonly exports: readonly string[]
  readonly isCommonJs: boolean
}

function outputOf({ inputs, outputs }: Metafile, file: string, root: string): Output {
  const entries = Object.entries(outputs).flatMap(([path, output]) =>
    output.entryPoint === undefined ? [] : [{ path, output, entryPoint: output.entryPoint }],
  )
  const entry = entries.find(({ entryPoint }) => resolve(root, entryPoint) === file) as (typeof entries)[number]
  return { path: resolve(root, entry.path), exports: entry.output.exports, isCommonJs: inputs[entry.entryPoint]?.format === 'cjs' }
}

async function load(root: string, file: string, output: Output, folder: string): Promise<LoadedModule> {
  const namespace = (await withinDeadline(import(/* @vite-ignore */ pathToFileURL(output.path).href)).catch((error: unknown) => {
    throw loadError(error, file, root, folder)
  })) as Record<string, unknown>
  if (!output.isCommonJs) return { file, exports: await sortedExports(output.exports, file), namespace }
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

async function sortedExports(names: readonly string[], file: string): Promise<readonly string[]> {
  if (names.length < 2) return names
  const { transform } = await import('esbuild')
  const loader = extname(file).replace(/^\.[cm]?/, '') as Loader
  const { code } = await transform(await readFile(file, 'utf8'), {
    loader,
    format: 'esm',
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  })
  return inOrderOfAppearance(names, code)
}

function loadError(error: unknown, file: string, root: string, folder: string): NsbError {
  const name = relative(root, file)
  const place = userFrame(error, root)
  const at = place
    ? `\n${relative(root, place.file)}:${place.line}:${place.column}\n${codeFrame(place.file, place.line, place.column) ?? ''}`.trimEnd()
    : ''
  const missing = /Cannot find package '([^']+)'/.exec(errorText(error))?.[1]
  const text = errorText(error).replaceAll(join(folder, '/'), '').split('\n', 1)[0] as string
  return new NsbError({
    code: 'NSB_HANDLER_DOES_NOT_LOAD',
    message: `'${name}' throws while it is loaded: ${missing === undefined ? text : `it imports '${missing}', which is not installed`}${at}`,
    suggestions: missing === undefined ? ['Move what can fail into handle()'] : [`npm install ${missing}`],
    cause: error,
    details: { file: name, ...(place ? { place: { ...place, file: relative(root, place.file) } } : {}) },
  })
}
