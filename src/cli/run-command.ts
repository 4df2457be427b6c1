import { Config, Plugin, run, settings } from '@oclif/core'

// With NODE_ENV=development or test oclif would look for a tsconfig.json and load the project's tsx.
settings.enableAutoTranspile = false

/** Runs one command, or shows its help, with all that oclif loads for it: plugins, theme, hooks. */
export async function runThroughOclif(words: readonly string[], root: string, config?: Config): Promise<void> {
  await run([...words], config ?? (await Config.load({ root })))
}

/**
 * Runs a built command. nsb has no plugins, themes and hooks, and looking for them takes a third of a start, so a configuration
 * with the few fields that running needs is enough.
 */
export async function runBuiltCommand(id: string, words: readonly string[], loaded: CommandModule, root: string): Promise<void> {
  const { default: Command } = loaded
  Command.id = id
  const config = Object.assign(new Config({ root }), {
    root,
    bin: 'nsb',
    name: 'nsbus',
    runHook: () => Promise.resolve({ successes: [], failures: [] }),
  })
  await new Command([...words], config)._run()
}

/** A file of a command; `_run` is what oclif's own `Command.run` calls. */
export interface CommandModule {
  readonly default: (new (words: string[], config: Config) => { _run(): Promise<unknown> }) & { id: string }
}

/** oclif's view of the commands in a folder of sources. */
export async function fromSources(root: string, commands: string): Promise<Config> {
  const config = new Config({ root })
  await config.load()
  const pjson = { ...config.pjson, oclif: { ...config.pjson.oclif, commands } }
  // A manifest left by a build wins over the sources, and only a plugin of its own can be told to ignore it.
  const plugin = new Plugin({ root, ignoreManifest: true, isRoot: true, pjson } as never)
  await plugin.load()
  return Config.load({ root, plugins: new Map([[plugin.name, plugin]]) } as never)
}
