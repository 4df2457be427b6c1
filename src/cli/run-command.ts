import { Config, Plugin, run, settings } from '@oclif/core'

// With NODE_ENV=development or test oclif would look for a tsconfig.json and load the project's tsx.
settings.enableAutoTranspile = false

/** Runs one command through oclif. */
export async function runCommand(words: string[], root: string, config?: Config): Promise<void> {
  await run(words, config ?? (await Config.load({ root })))
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
