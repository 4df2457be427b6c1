import { access, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { findFiles } from '../load-handlers/find-files.ts'

/** How a project writes its code, as far as generated code follows it. */
export interface ProjectStyle {
  readonly language: 'ts' | 'js'
  /** Of new files: ts, mts, js or mjs. */
  readonly extension: string
  /** How a relative import ends; empty for none. */
  readonly importExtension: string
  readonly quote: "'" | '"'
  readonly indent: string
  readonly semicolons: boolean
  readonly runner: 'vitest' | 'node'
  /** What stands between `node` and the file in the test script, `--test` included. */
  readonly nodeTestFlags: readonly string[]
}

interface PackageFile {
  readonly type?: string
  readonly scripts?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

interface CompilerOptions {
  readonly module?: string
  readonly moduleResolution?: string
  readonly allowImportingTsExtensions?: boolean
  readonly rewriteRelativeImportExtensions?: boolean
  readonly verbatimModuleSyntax?: boolean
}

// Enough to see the habit of a project; reading all of a large one would take longer than everything else.
const filesToRead = 40

/** Reads the habits of a project from package.json, tsconfig.json and its sources. */
export async function projectStyle(folder: string, language: 'ts' | 'js'): Promise<ProjectStyle> {
  const packageFile = ((await readJson(await upwards(folder, 'package.json'))) ?? {}) as PackageFile
  const compiler = await compilerOptions(await upwards(folder, 'tsconfig.json'))
  const source = await sourcesOf(folder)
  const commonJs = packageFile.type !== 'module'
  const extension =
    language === 'ts' ? (commonJs && compiler.verbatimModuleSyntax === true ? 'mts' : 'ts') : packageFile.type === 'commonjs' ? 'mjs' : 'js'
  const testScript = packageFile.scripts?.['test'] ?? ''
  const nodeTest = /\bnode\s+((?:\S+\s+)*?)--test\b/.exec(testScript)
  const hasVitest = 'vitest' in { ...packageFile.dependencies, ...packageFile.devDependencies } || /\bvitest\b/.test(testScript)
  return {
    language,
    extension,
    importExtension: language === 'js' ? `.${extension}` : importExtension(compiler, source, extension),
    quote: count(source, /from "/g) > count(source, /from '/g) ? '"' : "'",
    indent: indentOf(source),
    semicolons: count(source, /;[ \t]*$/gm) > count(source, /^import .*['"][ \t]*$/gm),
    runner: nodeTest && !hasVitest ? 'node' : 'vitest',
    nodeTestFlags: [...(nodeTest?.[1]?.split(/\s+/).filter((word) => word !== '') ?? []), '--test'],
  }
}

function importExtension(compiler: CompilerOptions, source: string, extension: string): string {
  const written = [
    ['.ts', count(source, /from ['"]\.[^'"]*\.[mc]?ts['"]/g)],
    ['.js', count(source, /from ['"]\.[^'"]*\.[mc]?js['"]/g)],
    ['', count(source, /from ['"]\.[^'"]*\/[^'"./]+(?:\.handler)?['"]/g)],
  ] as const
  const [habit] = written.toSorted(([, a], [, b]) => b - a)
  const chosen = habit !== undefined && habit[1] > 0 ? habit[0] : extensionFor(compiler)
  return chosen === '.ts' ? `.${extension}` : chosen === '.js' ? `.${extension.replace('ts', 'js')}` : ''
}

/** What the compiler accepts; without tsconfig.json Node runs the file itself, which wants the whole name. */
function extensionFor(compiler: CompilerOptions): '.ts' | '.js' | '' {
  if (compiler.allowImportingTsExtensions === true || compiler.rewriteRelativeImportExtensions === true) return '.ts'
  if (Object.keys(compiler).length === 0) return '.ts'
  const resolution = (compiler.moduleResolution ?? compiler.module ?? '').toLowerCase()
  return /^node(?:16|18|20|next)/.test(resolution) ? '.js' : ''
}

function indentOf(source: string): string {
  const widths = [...source.matchAll(/[{([]\n([ \t]+)\S/g)].map(([, blank = '']) => blank)
  const tabs = widths.filter((blank) => blank.startsWith('\t')).length
  if (tabs > widths.length / 2) return '\t'
  const narrow = widths.filter((blank) => blank.length === 2).length
  return widths.filter((blank) => blank.length === 4).length > narrow ? '    ' : '  '
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0
}

async function sourcesOf(folder: string): Promise<string> {
  const files = [...(await findFiles(folder, 'src/**/*.{ts,mts,js,mjs}')), ...(await findFiles(folder, '*.{ts,mts,js,mjs}'))]
  const texts = await Promise.all(files.slice(0, filesToRead).map((file) => readFile(file, 'utf8')))
  return texts.join('\n')
}

async function compilerOptions(file: string | undefined): Promise<CompilerOptions> {
  if (file === undefined) return {}
  const { extends: parents, compilerOptions: own } = ((await readJson(file)) ?? {}) as {
    extends?: string | string[]
    compilerOptions?: CompilerOptions
  }
  const inherited = await Promise.all(
    [parents ?? []]
      .flat()
      .filter((parent) => parent.startsWith('.') && resolve(dirname(file), parent) !== file)
      .map((parent) => compilerOptions(resolve(dirname(file), parent.endsWith('.json') ? parent : `${parent}.json`))),
  )
  return Object.assign({}, ...inherited, own) as CompilerOptions
}

/** JSON with comments and commas at the end, as tsconfig.json may have them; undefined when it cannot be read. */
async function readJson(file: string | undefined): Promise<unknown> {
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch(() => '')
  const bare = text
    .replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[^]*?\*\//g, (_all, literal: string | undefined) => literal ?? '')
    .replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, (_all, literal: string | undefined) => literal ?? '')
  try {
    return JSON.parse(bare) as unknown
  } catch {
    return undefined
  }
}

/** The nearest file of that name, not above a repository. */
export async function upwards(folder: string, name: string): Promise<string | undefined> {
  for (let current = resolve(folder); ; current = dirname(current)) {
    const file = join(current, name)
    if (await exists(file)) return file
    if (current === dirname(current) || (await exists(join(current, '.git')))) return undefined
  }
}

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Rewrites code of our templates (single quotes, two blanks, no semicolons) in the style of the project. */
export function inStyle(code: string, style: ProjectStyle): string {
  return code
    .split('\n')
    .map((line) => {
      const [, blank = '', rest = ''] = /^( *)(.*)$/.exec(line) ?? []
      const quoted =
        style.quote === '"' ? rest.replace(/'((?:[^'\\"]|\\.)*)'/g, (_all, text: string) => `"${text.replaceAll("\\'", "'")}"`) : rest
      return `${style.indent.repeat(blank.length / 2)}${' '.repeat(blank.length % 2)}${style.semicolons && endsStatement(quoted) ? `${quoted};` : quoted}`
    })
    .join('\n')
}

/** True for a line of a template that ends a statement: no block, no open bracket, no comment, no closing brace of a block. */
function endsStatement(line: string): boolean {
  return line !== '' && !/^(?:\}|\/\/|\/?\*)$/.test(line) && !/^\/?\*/.test(line) && !/[{([,;]$|\) \{\}$/.test(line)
}
