import { readFile, readdir } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { lineAndColumn, parseWithPositions, pathStep } from '../json-positions.ts'
import { globPattern } from '../load-handlers/find-files.ts'
import { findProject } from '../project.ts'
import { projectFileName } from '../project-file.ts'
import { endpointNameFor } from '../scaffold/project-layout.ts'

/** A folder with an nsb.json of its own. */
export interface EndpointFolder {
  readonly folder: string
  /** What its nsb.json calls the endpoint, or the name that follows from the folder. */
  readonly name: string
}

export interface FoundEndpoints {
  /** The folder that holds all that belongs to them. */
  readonly root: string
  /** One, or several that run side by side. */
  readonly endpoints: readonly [EndpointFolder, ...EndpointFolder[]]
}

const neverEntered = new Set(['node_modules', 'dist'])

/**
 * Which endpoints a folder means: the `workspaces` of its nsb.json, the project it is or is in, or where there is none, the projects
 * below it.
 *
 * @param below the folder was named, so projects below it come before a project around it
 * @throws {NsbError} NSB_CONFIG_INVALID when `workspaces` is no list of folders with an nsb.json
 */
export async function findEndpoints(dir: string, below: boolean): Promise<FoundEndpoints> {
  const file = await nearestProjectFile(dir)
  const around = file === undefined ? undefined : dirname(file)
  if (around !== dir && (below || around === undefined)) {
    const [first, ...further] = await projectsBelow(dir)
    if (first !== undefined) return { root: dir, endpoints: [await named(first), ...(await Promise.all(further.map(named)))] }
  }
  const root = around ?? dir
  const [first, ...further] = file === undefined ? [] : await workspacesOf(file)
  return first === undefined
    ? { root, endpoints: [await named(root)] }
    : { root, endpoints: [await named(first), ...(await Promise.all(further.map(named)))] }
}

async function nearestProjectFile(dir: string): Promise<string | undefined> {
  try {
    return (await findProject(dir)).file
  } catch (error) {
    // A file that is wrong is the right one; who reads it says what is wrong.
    if (error instanceof NsbError && typeof error.details['file'] === 'string') return error.details['file']
    throw error
  }
}

async function named(folder: string): Promise<EndpointFolder> {
  const parsed = parseWithPositions(await readFile(join(folder, projectFileName), 'utf8').catch(() => '{}'))
  const value = 'value' in parsed ? (parsed.value as { endpoint?: { name?: unknown } } | null) : null
  const name = value?.endpoint?.name
  return { folder, name: typeof name === 'string' ? name : endpointNameFor(basename(folder)) }
}

async function workspacesOf(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8')
  const parsed = parseWithPositions(text)
  const wanted = 'value' in parsed ? (parsed.value as { workspaces?: unknown } | null)?.workspaces : undefined
  if (wanted === undefined || 'problem' in parsed) return []
  const invalid = (problem: string, path: string): NsbError => {
    const { line, column } = lineAndColumn(text, parsed.offsets.get(path) ?? 0)
    return new NsbError({
      code: 'NSB_CONFIG_INVALID',
      message: `${file}:${line}:${column}: ${problem}`,
      suggestions: ['"workspaces": ["sales", "services/*"]'],
      details: { file, line, column },
    })
  }
  if (!Array.isArray(wanted) || !wanted.every((each) => typeof each === 'string'))
    throw invalid(`'workspaces' must be a list of folders.`, '/workspaces')
  const root = dirname(file)
  const projects = await projectsBelow(root)
  const found = wanted.flatMap((glob, index) => {
    const pattern = globPattern(glob.replace(/^(?:\.\/)+|(?<!\/)\/+$/g, ''))
    const matching = projects.filter((folder) => pattern.test(relative(root, folder).replaceAll(sep, '/')))
    if (matching.length === 0) throw invalid(`no folder '${glob}' with an ${projectFileName} was found.`, `/workspaces${pathStep(index)}`)
    return matching
  })
  return [...new Set(found)]
}

/** Folders with an nsb.json, without those inside of them. */
async function projectsBelow(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' || error.code === 'ENOENT') return []
    throw error
  })
  const found = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !neverEntered.has(entry.name))
      .map(async ({ name }) => {
        const folder = join(root, name)
        const isProject = await readFile(join(folder, projectFileName)).then(
          () => true,
          () => false,
        )
        return isProject ? [folder] : projectsBelow(folder)
      }),
  )
  return found.flat().toSorted()
}
