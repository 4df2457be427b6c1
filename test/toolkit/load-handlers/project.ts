import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder with these files, removed with `await using`. */
export async function projectWith(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly root: string; write(file: string, text: string): Promise<void> } & AsyncDisposable> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'nsb-project-')))
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, file)), { recursive: true })
    await writeFile(join(root, file), text)
  }
  for (const [file, text] of Object.entries(files)) await write(file, text)
  return { root, write, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}
