import { readFile } from 'node:fs/promises'
import { Args, Flags } from '@oclif/core'
import type { MessageType } from '../message/declaration.ts'
import { messageSymbol } from '../message/declaration.ts'
import { NsbError } from '../message/nsb-error.ts'
import type { BodySources } from '../toolkit/send/body.ts'

const body = { helpGroup: 'BODY' } as const

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
  id: Flags.string({ helpValue: '<id>', summary: 'message id instead of a new one', ...body }),
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

/**
 * Collects where the body comes from. stdin is read for `-`, or when no body was given in any other form and stdin is no terminal.
 *
 * @throws {NsbError} NSB_FILE_NOT_READABLE, NSB_EMPTY_BODY
 */
export async function bodySources(
  argument: string | undefined,
  flags: { readonly data?: readonly string[] | undefined; readonly file?: string | undefined },
): Promise<BodySources> {
  const texts: { source: string; text: string | Uint8Array }[] = []
  if (flags.file !== undefined) texts.push({ source: flags.file, text: await read(flags.file) })
  const data = flags.data ?? []
  const nothingElse = argument === undefined && flags.file === undefined && data.length === 0
  if (argument === '-' || (nothingElse && !process.stdin.isTTY)) {
    const text = await stdin()
    if (text.length > 0) texts.push({ source: 'stdin', text })
    else if (argument === '-')
      throw new NsbError({
        code: 'NSB_EMPTY_BODY',
        message: 'stdin was empty; a body was expected there.',
        suggestions: [`Pipe one in: echo '{"OrderId":"42"}' | nsb send PlaceOrder -`],
      })
  } else if (argument !== undefined) texts.push({ source: 'the command line', text: argument })
  return { texts, data }
}

/** `name=value` pairs. @throws {NsbError} NSB_BAD_HEADER */
export function headersFrom(pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf('=')
      if (equals <= 0 || pair.slice(0, equals).trim() === '')
        throw new NsbError({
          code: 'NSB_BAD_HEADER',
          message: `'${pair}' is not of the form name=value.`,
          suggestions: ['--header Tenant=acme'],
        })
      return [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
}

/** The full name of a type, as text for people. */
export function typeNameOf(type: MessageType): string {
  return type[messageSymbol].fullName
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_FILE_NOT_READABLE',
      message: `'${path}' cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`,
      suggestions: ['Give the path relative to the working directory'],
      cause: error,
    })
  }
}

async function stdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
