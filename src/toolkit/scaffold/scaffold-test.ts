import { basename, posix } from 'node:path'
import { nearest } from '../../message/nearest.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { type RegisteredHandler, registerHandlers } from '../../runtime/handlers.ts'
import { loadProjectCode } from '../project-code.ts'
import type { Project } from '../project.ts'
import type { Consent } from '../trust/trust.ts'
import { type KnownMessage, declarationOf, describeMessages, findDeclarations } from './find-messages.ts'
import { testFile } from './handler-files.ts'
import { kebabCase } from './names.ts'
import { type ProjectLayout, projectLayout } from './project-layout.ts'
import { type ProjectStyle, projectStyle } from './project-style.ts'
import { type PlannedFile, planFiles } from './write-files.ts'

export interface TestPlan {
  readonly files: readonly PlannedFile[]
  readonly test: string
  readonly tests: number
  readonly style: ProjectStyle
}

/**
 * Plans a test for a handler class that is there already; `writeFiles` writes it.
 *
 * @param given name of the class, with or without `Handler` at its end
 * @throws {NsbError} NSB_UNKNOWN_HANDLER, NSB_NOT_A_HANDLER for a handler made of a function, NSB_UNKNOWN_TYPE, and what loading refuses
 */
export async function planTest(project: Project, given: string, force: boolean): Promise<TestPlan> {
  const layout = projectLayout(project, undefined)
  const { definition, files, dispose } = await loadProjectCode(project)
  try {
    const registered = registerHandlers(definition.handlers, { files })
    const { handler, file } = handlerNamed(given, registered)
    const candidate = [...files].find(([value, path]) => path === file && (value as { name?: string }).name === handler.name)?.[0]
    if (typeof candidate !== 'function') throw isFunction(handler.name)
    const path = file.replaceAll('\\', '/')
    const style = await projectStyle(layout.root, /\.[mc]?ts$/.test(path) ? 'ts' : 'js')
    const handled = registered.filter((each) => each.name === handler.name && each.file === handler.file)
    const messages = await messagesOf(handled, layout, project.consent)
    const alone = new Set(registered.filter((each) => each.file === handler.file).map(({ name }) => name)).size === 1
    const plain = basename(path).replace(/(?:\.handler)?\.[mc]?[jt]s$/, '')
    const test = await testFile(
      layout.root,
      {
        file: alone ? plain : kebabCase(handler.name.replace(/(?<=.)Handler$/, '')),
        className: handler.name,
        handlerPath: path,
        messages,
        reply: undefined,
        folder: posix.dirname(path),
      },
      style,
    )
    return { files: await planFiles(layout.root, [test], force), test: test.path, tests: messages.length, style }
  } finally {
    await dispose()
  }
}

function handlerNamed(given: string, registered: readonly RegisteredHandler[]): { handler: RegisteredHandler; file: string } {
  const handler = registered.find(({ name }) => name === given) ?? registered.find(({ name }) => name === `${given}Handler`)
  if (handler?.file !== undefined) return { handler, file: handler.file }
  const names = [...new Set(registered.map(({ name }) => name))]
  const [meant] = nearest(given, names)
  throw new NsbError({
    code: 'NSB_UNKNOWN_HANDLER',
    message: handler ? `'${handler.name}' is no export of a handler file.` : `There is no handler '${given}' here.`,
    suggestions: [
      ...(meant === undefined || handler ? [] : [`Did you mean '${meant}'?`]),
      names.length > 0 ? `Handlers here: ${names.join(', ')}` : 'Write one with its test: nsb scaffold handler PlaceOrder',
    ],
    details: { handler: given, known: names },
  })
}

function isFunction(name: string): NsbError {
  return new NsbError({
    code: 'NSB_NOT_A_HANDLER',
    message: `'${name}' is made of a function; tests are written for handler classes.`,
    suggestions: [`Call it in a test: await ${name}.fn(new …, testContext())`],
  })
}

async function messagesOf(
  handled: readonly RegisteredHandler[],
  layout: ProjectLayout,
  consent: Consent | undefined,
): Promise<readonly KnownMessage[]> {
  const declarations = [
    ...(await findDeclarations(layout.root, layout.messageGlob)),
    ...(await findDeclarations(layout.root, layout.handlerGlob)),
  ]
  const found = handled.map(({ handles: { fullName } }) => {
    const declared = declarationOf(
      fullName,
      declarations.filter((each, index) => declarations.findIndex(({ file, name }) => file === each.file && name === each.name) === index),
    )
    if (declared) return declared
    throw new NsbError({
      code: 'NSB_UNKNOWN_TYPE',
      message: `The declaration of '${fullName}' is not in the files of '${layout.messageGlob}', so a test cannot import it.`,
      suggestions: [`Say where messages are: nsb config set endpoint.messages 'src/**/*.ts'`],
    })
  })
  return describeMessages(layout.root, found, consent)
}
