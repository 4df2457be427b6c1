// One code-split build of library and command line, so that a user's `import 'nsbus'` and the runner share module instances.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

// Built aside and swapped in, so that a command that starts meanwhile finds a whole dist.
const fresh = `dist.${process.pid}`
const bin = (name) => join(root, 'node_modules/.bin', name)

const commands = readdirSync(join(root, 'commands'), { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `commands/${file}`)

/** What one command hardly ever uses: kept out of the bundle that every start compiles, and loaded from `dist/lazy` when called. */
const seldomUsed = ['ejs', 'minimatch', 'tinyglobby', 'lilconfig', 'cli-spinners', 'wrap-ansi', 'string-width', 'widest-line']

/**
 * oclif's CommonJS files load each other when they are loaded; most of it is never used by one command. A `const x = require('y')`
 * becomes a function that loads on first use, and every use of `x` becomes a call.
 */
const lazyRequires = {
  name: 'lazy-requires',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^(${seldomUsed.join('|')})$`) }, ({ path, importer }) =>
      importer.includes('node_modules/@oclif/core/') ? { path: `./lazy/${path}.cjs`, external: true } : undefined,
    )
    // Only for its own development mode, which is switched off.
    onResolve({ filter: /^typescript$/ }, ({ path }) => ({ path, external: true }))
    // It loads all of semver to check Node's version, which bin/run.js has done.
    onLoad({ filter: /node_modules\/@oclif\/core\/lib\/index\.js$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8').replace(/^function checkNodeVersion\(\) \{[^]*?\n\}\n|^checkNodeVersion\(\);$/gm, '')
      return { contents: makeRequiresLazy(source), loader: 'js' }
    })
    // oclif makes a log for each command; without DEBUG nobody reads it, and making it loads terminals and colours.
    onLoad({ filter: /node_modules\/debug\/src\/index\.js$/ }, () => ({
      contents: `module.exports = process.env.DEBUG ? require('./node.js') : () => () => {}`,
      loader: 'js',
    }))
    onLoad({ filter: /node_modules\/(@oclif\/core|semver|minimatch|ejs|debug|supports-color)\/.*\.js$/ }, ({ path }) => {
      return { contents: makeRequiresLazy(readFileSync(path, 'utf8')), loader: 'js' }
    })
  },
}

function makeRequiresLazy(source) {
  const declaration =
    /^(?:const|var|let) (\w+) = (__importDefault\(|tslib_1\.__importDefault\(|__importStar\(|tslib_1\.__importStar\()?require\(("[^"]+"|'[^']+')\)(\))?;?$/gm
  const names = []
  const rewritten = source.replace(declaration, (whole, name, wrap, file) => {
    const uses = source.match(new RegExp(`(?<![\\w$.'"\`/-])${name}(?![\\w$])`, 'g')) ?? []
    const asMember = source.match(new RegExp(`(?<![\\w$.'"\`/-])${name}\\.`, 'g')) ?? []
    if (name === 'tslib_1' || uses.length !== asMember.length + 1) return whole
    names.push(name)
    return `let ${name}$value; const ${name}$lazy = () => ${name}$value ??= ${wrap ?? ''}require(${file})${wrap ? ')' : ''};`
  })
  if (names.length === 0) return source
  const lazy = names.join('|')
  return rewritten
    .replace(new RegExp(`\\bnew (${lazy})((?:\\.\\w+)+)`, 'g'), 'new ($1$lazy()$2)')
    .replace(new RegExp(`(?<![\\w$.'"\`/-])(${lazy})\\.`, 'g'), '$1$lazy().')
}

// Bundled CommonJS calls require, __filename and __dirname, which an ES module does not have.
const commonJsNames = [
  "import { createRequire as nsb$createRequire } from 'node:module'",
  "import { fileURLToPath as nsb$fileURLToPath } from 'node:url'",
  'const require = nsb$createRequire(import.meta.url)',
  'const __filename = nsb$fileURLToPath(import.meta.url)',
  "const __dirname = nsb$fileURLToPath(new URL('.', import.meta.url))",
].join(';')

/** Most chunks need none of them, and making them in forty chunks is a tenth of a start. The empty line keeps source maps right. */
function withoutUnusedNames(folder) {
  for (const name of readdirSync(folder, { recursive: true })) {
    if (!name.endsWith('.js')) continue
    const path = join(folder, name)
    const text = readFileSync(path, 'utf8')
    const rest = text.replace(commonJsNames, '')
    if (!/\brequire\b|\b__filename\b|\b__dirname\b/.test(rest)) writeFileSync(path, rest)
  }
}

const external = Object.keys(dependencies).filter((name) => name !== '@oclif/core')

await build({
  absWorkingDir: root,
  entryPoints: [
    'src/index.ts',
    'src/testing/index.ts',
    'src/transport/transport.ts',
    'src/zod/index.ts',
    'src/cli/main.ts',
    'src/cli/base-command.ts',
    'src/toolkit/trust/hand-over.ts',
    ...commands,
  ],
  outdir: fresh,
  outbase: '.',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: [...external, ...external.map((name) => `${name}/*`)],
  sourcemap: 'linked',
  sourcesContent: false,
  keepNames: false,
  plugins: [lazyRequires],
  banner: { js: commonJsNames },
  logLevel: 'warning',
})
withoutUnusedNames(join(root, fresh))

await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(seldomUsed.map((name) => [name, name])),
  outdir: `${fresh}/lazy`,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
})

if (!process.argv.includes('--no-types'))
  execFileSync(bin('tsc'), ['-p', 'tsconfig.build.json', '--outDir', fresh], { cwd: root, stdio: 'inherit' })
rmSync(join(root, 'dist'), { recursive: true, force: true })
renameSync(join(root, fresh), join(root, 'dist'))
execFileSync(bin('oclif'), ['manifest'], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, OCLIF_SKIP_NEW_VERSION_CHECK: 'true' },
})
