import { readFile } from 'node:fs/promises'
import { extname, relative, resolve } from 'node:path'
import type { BuildOptions, BuildResult, Loader, Metafile } from 'esbuild'
import { type BuildInputs, buildPlugin, ownPlaces } from './build-plugin.ts'
import { compileError } from './compile-error.ts'
import { inOrderOfAppearance } from './export-order.ts'

/** What a build gives; it may be written to any folder that is as far from the sources as the one it was made for. */
export interface Built {
  /** JavaScript and source maps; paths are relative to the folder. */
  readonly outputs: readonly { readonly path: string; readonly text: string }[]
  /** One for each file that was asked for, in that order. */
  readonly modules: readonly BuiltModule[]
}

export interface BuiltModule {
  /** Relative to the folder. */
  readonly path: string
  /** Names, in the order in which the file declares them; those of CommonJS are known when it has run. */
  readonly exports: readonly string[]
  readonly isCommonJs: boolean
}

/** All but what says which files, from where and whereto. */
export const buildOptions = {
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: `node${process.versions.node}`,
  packages: 'external',
  define: ownPlaces,
  // Handlers and messages are known by their class names, and two files may have classes of one name.
  keepNames: true,
  sourcemap: 'linked',
  sourcesContent: false,
  metafile: true,
  write: false,
  logLevel: 'silent',
  // Bundled CommonJS calls require, which an ES module does not have.
  banner: { js: `import { createRequire as nsb$createRequire } from 'node:module';const require = nsb$createRequire(import.meta.url);` },
} as const satisfies BuildOptions

/**
 * One build of all files, so that they share what they import.
 *
 * @param files absolute
 * @param folder where the result will be
 * @returns with the sources it was made of, so that it can be kept
 * @throws {NsbError} NSB_HANDLER_DOES_NOT_COMPILE
 */
export async function build(
  root: string,
  files: readonly string[],
  folder: string,
  seesProject: boolean,
): Promise<{ readonly built: Built; readonly inputs: BuildInputs | undefined }> {
  const esbuild = await import('esbuild')
  const read = new Map<string, string>()
  const options = {
    ...buildOptions,
    absWorkingDir: root,
    entryPoints: files.map((file) => ({ in: file, out: relative(root, file).replaceAll('..', '_') })),
    outdir: folder,
    plugins: [buildPlugin(root, seesProject, read)],
  }
  const { metafile, outputFiles }: BuildResult<{ metafile: true; write: false }> = await esbuild
    .build<typeof options & { metafile: true; write: false }>(options as never)
    .catch((error: unknown) => {
      throw compileError(error)
    })
  const outputs = outputFiles.map(({ path, text }) => ({ path: relative(folder, path), text }))
  const modules: BuiltModule[] = []
  for (const file of files) modules.push(await moduleOf(metafile, file, root, folder))
  // An input that somebody else has read cannot be compared later.
  const isWhole = Object.keys(metafile.inputs).every((input) => read.has(resolve(root, input)))
  return { built: { outputs, modules }, inputs: isWhole ? read : undefined }
}

async function moduleOf({ inputs, outputs }: Metafile, file: string, root: string, folder: string): Promise<BuiltModule> {
  const entries = Object.entries(outputs).flatMap(([path, output]) =>
    output.entryPoint === undefined ? [] : [{ path, output, entryPoint: output.entryPoint }],
  )
  const { entryPoint, output, path } = entries.find((entry) => resolve(root, entry.entryPoint) === file) as (typeof entries)[number]
  const isCommonJs = inputs[entryPoint]?.format === 'cjs'
  return {
    path: relative(folder, resolve(root, path)),
    exports: isCommonJs ? [] : await sortedExports(output.exports, file),
    isCommonJs,
  }
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
