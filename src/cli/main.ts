import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { coloursFor, wantsColour } from './colour.ts'
import { Exit } from './exit-codes.ts'
import { type KnownCommand, frontPage, helpPage, topicPage } from './front-page.ts'
import { printableJson } from './printable.ts'
import { errorDocument, errorLines, reportedError } from './report-error.ts'
import type { CommandModule } from './run-command.ts'
import { flushOutput } from './unblocked-output.ts'
import { reportUnwritable } from './unwritable-output.ts'
import { whichCommand } from './which-command.ts'

/**
 * Runs one command line.
 *
 * @param words what follows `nsb`
 * @param packageRoot the folder of package.json, as a file URL
 * @param commands where the commands are when they are not the built ones
 */
export async function main(words: string[], packageRoot: URL, commands?: string): Promise<void> {
  endWhenOutputBreaks()
  try {
    const root = fileURLToPath(packageRoot)
    const config = commands === undefined ? undefined : await (await import('./run-command.ts')).fromSources(root, commands)
    const known = config === undefined ? await fromManifest(packageRoot) : config.commands
    const asked = whichCommand(words, known)
    if (asked.kind === 'command' && config === undefined && asked.command.relativePath !== undefined) {
      // Both are read at the same time.
      const [{ runBuiltCommand }, loaded] = await Promise.all([
        import('./run-command.ts'),
        import(new URL(asked.command.relativePath.join('/'), packageRoot).href),
      ])
      await runBuiltCommand(asked.command.id, asked.words, loaded as CommandModule, root)
    } else if (asked.kind === 'command' || asked.kind === 'commandHelp') {
      const { runThroughOclif } = await import('./run-command.ts')
      await runThroughOclif(asked.kind === 'command' ? [asked.command.id, ...asked.words] : asked.words, root, config)
    } else if (asked.kind === 'errorCode') {
      const { errorHelp } = await import('./error-help.ts')
      const text = await errorHelp(asked.code, packageRoot)
      process.stdout.write(
        wantsJson(words) ? `${JSON.stringify({ schema: 'nsb.help/1', code: asked.code, text }, null, 2)}\n` : `${text}\n`,
      )
    } else {
      const page = asked.kind === 'front' ? frontPage(known) : asked.kind === 'help' ? helpPage(known) : topicPage(asked.topic, known)
      process.stdout.write(`${page}\n`)
    }
  } catch (error) {
    await report(error, words)
  }
  await end()
}

/** Ends although code of the project may have left a connection or a timer open; what was printed goes out first. */
async function end(): Promise<never> {
  await flushOutput()
  process.exit()
}

/** Errors outside of a command: unknown commands, help, a damaged installation. */
async function report(error: unknown, words: readonly string[]): Promise<void> {
  const exit = (error as { oclif?: { exit?: number }; code?: string } | undefined) ?? {}
  if (exit.code === 'EEXIT') {
    process.exitCode = exit.oclif?.exit ?? 0
    return
  }
  const before = beforeDashes(words)
  const reported = reportedError(error)
  if (wantsJson(words)) process.stdout.write(`${printableJson(JSON.stringify(errorDocument(reported), null, 2))}\n`)
  const colours = await coloursFor(wantsColour(before.includes('--no-color'), process.env, process.stderr.isTTY))
  process.stderr.write(`${errorLines(reported, colours, before.includes('-vv'))}\n`)
  process.exitCode = reported.exitCode
}

const beforeDashes = (words: readonly string[]): readonly string[] => (words.includes('--') ? words.slice(0, words.indexOf('--')) : words)

function wantsJson(words: readonly string[]): boolean {
  return beforeDashes(words).includes('--json') || process.env['NSB_CONTENT_TYPE'] === 'json'
}

// `nsb … | head -1` is not an error. Commands with work to finish take this over (BaseCommand).
function endWhenOutputBreaks(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(Exit.done)
      if (stream === process.stdout) reportUnwritable(error)
      process.exit(Exit.cannotReach)
    })
}

async function fromManifest(packageRoot: URL): Promise<KnownCommand[]> {
  const manifest = JSON.parse(await readFile(new URL('oclif.manifest.json', packageRoot), 'utf8')) as {
    commands: Record<string, KnownCommand>
  }
  return Object.values(manifest.commands)
}
