import { Args, Flags } from '@oclif/core'
import type { MessageType } from '../message/declaration.ts'
import { messageSymbol } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import { LineCutter } from '../toolkit/read-lines.ts'
import type { BodySources } from '../toolkit/send/body.ts'
import type { BodyInput } from '../toolkit/send/message-input.ts'
import { readNamedFile } from './read-file.ts'

const body = { helpGroup: 'BODY' } as const
const series = { helpGroup: 'SERIES' } as const

/** Flags of `send` and `publish` alike. */
export const bodyFlags = {
  data: Flags.string({
    char: 'd',
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '<path=value>',
    summary: 'set a property; := takes JSON; wins over file and body',
    ...body,
  }),
  file: Flags.string({ char: 'f', helpValue: '<path>', summary: 'JSON body from a file', ...body }),
  validate: Flags.boolean({ default: true, allowNo: true, summary: 'check the body against its schema', ...body }),
  header: Flags.string({ multiple: true, multipleNonGreedy: true, helpValue: '<name=value>', summary: 'add a custom header', ...body }),
  'content-type': Flags.string({
    helpValue: '<type>',
    summary: 'send the bytes of body, file or stdin as they are, with this content type and without schema',
    exclusive: ['data', 'each'],
    ...body,
  }),
  id: Flags.string({ helpValue: '<id>', summary: 'message id instead of a new one', exclusive: ['repeat', 'each'], ...body }),
  conversation: Flags.string({ helpValue: '<id>', summary: 'conversation id instead of a new one', ...body }),
  repeat: Flags.integer({ min: 1, helpValue: '<n>', summary: 'send it that many times', exclusive: ['each'], ...series }),
  each: Flags.boolean({ summary: 'read one message from every line of stdin; all are checked before the first is sent', ...series }),
  rate: Flags.string({ helpValue: '<n/s>', summary: 'at most that many a second (10/s) or minute (100/m)', ...series }),
  output: Flags.string({
    char: 'o',
    options: ['json', 'ndjson', 'ids'],
    summary: 'form of the result; ids: bare message ids for pipes',
    helpGroup: 'OUTPUT',
  }),
  'dry-run': Flags.boolean({ summary: 'print the complete wire form and send nothing' }),
}

export const bodyArgs = {
  type: Args.string({
    ignoreStdin: true,
    required: true,
    description: 'full name of the message type, or its short name when that is unique',
  }),
  body: Args.string({ ignoreStdin: true, description: 'JSON body, or - for stdin' }),
}

/** Values of the flags that say what the bodies are. */
interface BodyChoice {
  readonly data?: readonly string[] | undefined
  readonly file?: string | undefined
  readonly each?: boolean
  readonly 'content-type'?: string | undefined
}

/**
 * Collects where the bodies come from. stdin is read for `-` and `--each`, or when no body was given in any other form and stdin is no
 * terminal.
 *
 * @throws {NsbError} NSB_FILE_NOT_READABLE, NSB_EMPTY_BODY, NSB_BAD_ARGUMENTS
 */
export async function bodyInput(argument: string | undefined, flags: BodyChoice): Promise<BodyInput> {
  if (flags['content-type'] !== undefined)
    return { kind: 'bytes', bytes: await rawBody(argument, flags), contentType: flags['content-type'] }
  return { kind: 'json', sources: flags.each === true ? await eachLine(argument, flags) : [await bodySources(argument, flags)] }
}

async function bodySources(argument: string | undefined, flags: BodyChoice): Promise<BodySources> {
  const texts: { source: string; text: string | Uint8Array }[] = []
  if (flags.file !== undefined) texts.push({ source: flags.file, text: await readNamedFile(flags.file) })
  const data = flags.data ?? []
  const nothingElse = argument === undefined && flags.file === undefined && data.length === 0
  if (argument === '-' || (nothingElse && !process.stdin.isTTY)) {
    const text = await stdin()
    if (text.length > 0) texts.push({ source: 'stdin', text })
    else if (argument === '-') throw emptyBody()
  } else if (argument !== undefined) texts.push({ source: 'the command line', text: argument })
  return { texts, data }
}

async function eachLine(argument: string | undefined, { file, data = [] }: BodyChoice): Promise<readonly BodySources[]> {
  if (argument !== undefined && argument !== '-')
    throw new NsbError({
      code: 'NSB_BAD_ARGUMENTS',
      message: `--each reads the bodies from stdin, and '${argument}' is one more.`,
      suggestions: ['Set what all of them share with --data or --file'],
    })
  const common = file === undefined ? [] : [{ source: file, text: await readNamedFile(file) }]
  const lines = process.stdin.isTTY ? [] : linesOf(await stdin())
  const found = lines.flatMap((text, index) =>
    isBlank(text) ? [] : [{ texts: [...common, { source: `line ${index + 1}`, text }], data, line: index + 1 }],
  )
  if (found.length === 0) throw emptyBody(`printf '{"OrderId":"1"}\\n{"OrderId":"2"}\\n' | nsb send PlaceOrder --each`)
  return found
}

// Not decoded here: a byte that is no UTF-8 is for the reader of bodies to refuse.
function linesOf(bytes: Uint8Array): Uint8Array[] {
  const cutter = new LineCutter(bytes.length)
  return [...cutter.cut(bytes), cutter.rest()].flatMap((line) => line ?? [])
}

const isBlank = (line: Uint8Array): boolean => line.every((byte) => byte === 32 || byte === 9 || byte === 13)

async function rawBody(argument: string | undefined, { file }: BodyChoice): Promise<Uint8Array> {
  if (file !== undefined && argument !== undefined)
    throw new NsbError({
      code: 'NSB_BAD_ARGUMENTS',
      message: '--content-type sends one body as it is, and two are given.',
      suggestions: [`Leave out --file or '${argument}'`],
    })
  const fromStdin = argument === '-' || (argument === undefined && !process.stdin.isTTY)
  const bytes = file !== undefined ? await readNamedFile(file) : fromStdin ? await stdin() : new TextEncoder().encode(argument)
  if (bytes.length > 0) return bytes
  throw new NsbError({
    code: 'NSB_EMPTY_BODY',
    message: `The body from ${file ?? (fromStdin ? 'stdin' : 'the command line')} is empty.`,
    suggestions: ['Give it as argument, with --file, or pipe it in'],
  })
}

function emptyBody(example = `echo '{"OrderId":"42"}' | nsb send PlaceOrder -`): NsbError {
  return new NsbError({
    code: 'NSB_EMPTY_BODY',
    message: process.stdin.isTTY ? 'stdin is a terminal; a body was expected there.' : 'stdin was empty; a body was expected there.',
    suggestions: [`Pipe one in: ${example}`],
  })
}

/** `name=value` pairs. @throws {NsbError} NSB_BAD_HEADER */
export function headersFrom(pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      const name = pair.slice(0, Math.max(0, equals))
      // No header of .NET is called like that, and as a key it means something else to JavaScript.
      if (name.trim() === '' || name === '__proto__')
        throw new NsbError({
          code: 'NSB_BAD_HEADER',
          message: name === '' ? `'${pair}' is not of the form name=value.` : `'${name}' cannot be the name of a header.`,
          suggestions: ['--header Tenant=acme'],
        })
      return [name, pair.slice(equals + 1)]
    }),
  )
}

/** The full name of a type, as text for people. */
export function typeNameOf(type: MessageType): string {
  return type[messageSymbol].fullName
}

async function stdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
