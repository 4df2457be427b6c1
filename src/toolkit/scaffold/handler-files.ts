import { posix } from 'node:path'
import type { KnownMessage } from './find-messages.ts'
import { kebabCase } from './names.ts'
import { type ProjectStyle, inStyle } from './project-style.ts'
import { type Property, objectCode, valueCode } from './properties.ts'
import { type Values, loadTemplate, render, renderFiles } from './templates.ts'
import type { NewFile } from './write-files.ts'

export interface HandlerDesign {
  readonly messages: readonly KnownMessage[]
  readonly reply: KnownMessage | undefined
  /** Relative to the project. */
  readonly folder: string
  readonly test: boolean
}

/** The handler's file and that of its test, in the style of the project. */
export async function handlerFiles(
  root: string,
  design: HandlerDesign,
  style: ProjectStyle,
): Promise<{ readonly handler: NewFile; readonly test: NewFile | undefined }> {
  const { messages, reply, folder } = design
  const first = messages[0] as KnownMessage
  const className = `${first.name}Handler`
  const used = reply ? messages.concat(reply) : messages
  const imports = importLines(used, folder, style)
  const body = reply
    ? `await context.reply(new ${reply.name}(${objectCode(replyMembers(messages, reply).map(({ name, code }) => [name, code]))}))`
    : `console.log(${'`'}\${context.messageId}: ${messages.length > 1 ? '${message.constructor.name}' : first.name}${'`'}, message)`
  const names = { file: kebabCase(first.name), ext: style.extension, Handler: className }
  const handler = await oneFile(root, 'handler', style.language, folder, style, {
    ...names,
    MessageType: messages.map(instanceType).join(' | '),
    message: /\bmessage\b/.test(body) ? 'message' : '_message',
    handles: messages.length === 1 ? first.name : `[${messages.map(({ name }) => name).join(', ')}]`,
    imports: imports.join('\n'),
    body,
  })
  const test = design.test
    ? await testFile(root, { file: names.file, className, handlerPath: handler.path, messages, reply, folder }, style)
    : undefined
  return { handler, test }
}

export interface TestDesign extends Pick<HandlerDesign, 'messages' | 'reply' | 'folder'> {
  /** File name up to `.handler.test`. */
  readonly file: string
  readonly className: string
  /** Where the handler is, relative to the project. */
  readonly handlerPath: string
}

/** The test of a handler class; without a reply it says that the messages are handled. */
export async function testFile(root: string, design: TestDesign, style: ProjectStyle): Promise<NewFile> {
  const { messages, reply, folder, className } = design
  const template = await loadTemplate('handler-test', root, style.runner)
  const part = template.parts[reply ? 'replies' : 'handles'] ?? ''
  const tests = messages.map((message) =>
    render(part, {
      Handler: className,
      Message: message.name,
      message: sampleCode(message, style),
      Reply: reply?.name ?? '',
      reply: reply
        ? objectCode(
            replyMembers(messages, reply).map(({ name, expected }) => [name, expected(message)]),
            '  ',
          )
        : '',
    }),
  )
  const imports = importLines(reply ? messages.concat(reply) : messages, folder, style)
  const handlerImport = `import { ${className} } from '${specifier(design.handlerPath, folder, style)}'`
  return oneFile(root, 'handler-test', style.runner, folder, style, {
    file: design.file,
    ext: style.extension,
    Handler: className,
    imports: [...imports, handlerImport].join('\n'),
    tests: tests.join('\n').trimEnd(),
    vitest: reply ? 'expect, test' : 'test',
    assert: reply ? `import assert from 'node:assert/strict'` : '',
  })
}

async function oneFile(
  root: string,
  template: string,
  variant: string,
  folder: string,
  style: ProjectStyle,
  values: Values,
): Promise<NewFile> {
  const [file] = renderFiles(await loadTemplate(template, root, variant), values)
  const { path, text } = file as { path: string; text: string }
  return { path: posix.join(folder, path), content: inStyle(text, style) }
}

function importLines(messages: readonly KnownMessage[], folder: string, style: ProjectStyle): readonly string[] {
  const files = [...new Set(messages.map(({ file }) => file))]
  return files.map((file) => {
    const names = [...new Set(messages.filter((message) => message.file === file).map(({ name }) => name))]
    return `import { ${names.join(', ')} } from '${specifier(file, folder, style)}'`
  })
}

/** An existing file is imported by its own extension, in the way the project writes extensions. */
function specifier(file: string, folder: string, style: ProjectStyle): string {
  const path = posix.relative(folder, file)
  const relative = path.startsWith('.') ? path : `./${path}`
  if (style.importExtension === '') return relative.replace(/\.[mc]?[jt]s$/, '')
  return /\.[mc]?js$/.test(style.importExtension) ? relative.replace(/\.([mc]?)ts$/, '.$1js') : relative
}

const instanceType = ({ name, isConstant }: KnownMessage): string => (isConstant ? `InstanceType<typeof ${name}>` : name)

interface ReplyMember {
  readonly name: string
  /** In the handler. */
  readonly code: string
  /** In the test. */
  expected(this: void, message: KnownMessage): string
}

/** Required properties of the reply: from the message where every handled type has one of that name and type, else the plainest value. */
function replyMembers(messages: readonly KnownMessage[], reply: KnownMessage): readonly ReplyMember[] {
  const source = ({ properties }: KnownMessage, wanted: Property): Property | undefined =>
    properties.find(({ name, type, optional }) => name === wanted.name && type !== undefined && type === wanted.type && !optional)
  return reply.properties
    .filter(({ optional }) => !optional)
    .map((wanted) => {
      const plain = valueCode(wanted.fallback)
      return messages.every((message) => source(message, wanted))
        ? { name: wanted.name, code: `message.${wanted.name}`, expected: (message) => valueCode(source(message, wanted)?.sample) }
        : { name: wanted.name, code: plain, expected: () => plain }
    })
}

/** The required properties with sample values. */
function sampleCode({ properties, isConstant }: KnownMessage, style: ProjectStyle): string {
  const required = properties.filter(({ optional }) => !optional)
  // An interface has no schema that could be asked.
  return required.length === 0 && isConstant && style.language === 'ts'
    ? '{} as never'
    : objectCode(
        required.map(({ name, sample }) => [name, valueCode(sample)]),
        '  ',
      )
}
