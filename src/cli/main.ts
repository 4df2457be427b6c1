import { fileURLToPath } from 'node:url'
import { Config, Plugin, flush, handle, run } from '@oclif/core'

/**
 * Runs one command line.
 *
 * @param words what follows `nsb`
 * @param packageRoot the folder of package.json, as a file URL
 * @param commands where the commands are when they are not the built ones
 */
export async function main(words: string[], packageRoot: URL, commands?: string): Promise<void> {
  const root = fileURLToPath(packageRoot)
  try {
    await run(words, commands === undefined ? await Config.load({ root }) : await fromSources(root, commands))
    await flush()
  } catch (error) {
    await handle(error as Error)
  }
}

async function fromSources(root: string, commands: string): Promise<Config> {
  const config = new Config({ root })
  await config.load()
  const pjson = { ...config.pjson, oclif: { ...config.pjson.oclif, commands } }
  // A manifest left by a build wins over the sources, and only a plugin of its own can be told to ignore it.
  const plugin = new Plugin({ root, ignoreManifest: true, isRoot: true, pjson } as never)
  await plugin.load()
  return Config.load({ root, plugins: new Map([[plugin.name, plugin]]) } as never)
}
