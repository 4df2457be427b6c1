import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { discoverStorage } from '../../transport/open.ts'
import { checkEndpointName, projectFiles } from '../init.ts'
import { findProject } from '../project.ts'
import { kebabCase } from './names.ts'
import { exists } from './project-style.ts'
import { type HandlerPlan, planHandler } from './scaffold-handler.ts'
import { type PlannedFile, planFiles } from './write-files.ts'

export interface EndpointRequest {
  readonly name: string
  /** Default: the name in kebab-case, below the folder given to {@link planEndpoint}. */
  readonly dir?: string | undefined
  /** The message that its handler is for. */
  readonly message: string
  readonly properties: readonly string[]
  readonly force?: boolean
}

export interface EndpointPlan extends Pick<HandlerPlan, 'style' | 'test' | 'tests' | 'example'> {
  readonly folder: string
  readonly files: readonly PlannedFile[]
}

/** Files that say how code is written; the project's own ones stay. */
const habits = ['package.json', 'tsconfig.json', 'nsb.json']

/**
 * Plans a package that can be run: project files, one message, one handler, one test. `writeFiles` writes them.
 *
 * @param from the folder it is made in
 * @throws {NsbError} NSB_BAD_ENDPOINT_NAME, NSB_BAD_NAME, NSB_BAD_PROPERTY
 */
export async function planEndpoint(from: string, request: EndpointRequest): Promise<EndpointPlan> {
  checkEndpointName(request.name)
  const folder = resolve(from, request.dir ?? kebabCase(request.name.replaceAll(/[._]/g, '-')))
  const hasStorage = discoverStorage({ from: resolve(folder, '..') }) !== undefined
  const ofProject = (await projectFiles(folder, request.name)).filter(({ path }) => !hasStorage || !path.startsWith('.learningtransport/'))
  // Code is written for the project that will be there, so that one is made elsewhere first.
  const stage = await mkdtemp(join(tmpdir(), 'nsb-endpoint-'))
  try {
    for (const { path, content } of ofProject.filter((file) => habits.includes(file.path))) {
      const own = join(folder, path)
      await ((await exists(own)) ? cp(own, join(stage, path)) : writeFile(join(stage, path), content))
    }
    const { files, style, test, tests, example } = await planHandler(await findProject(stage), request)
    const kept = (await planFiles(folder, ofProject, false)).map((file) =>
      file.action === 'conflict' ? { ...file, action: 'keep' as const } : file,
    )
    const code = await planFiles(folder, files, request.force === true)
    return { folder, files: [...kept, ...code], style, test, tests, example }
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}
