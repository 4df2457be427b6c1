import { NsbError } from '../../message/nsb-error.ts'
import type { HeaderChanges } from '../../toolkit/errors/edit/header-changes.ts'
import { readNamedFile } from '../read-file.ts'

/** `<JSON|@file>`: the text, or that of the file. @throws {NsbError} NSB_FILE_NOT_READABLE */
export async function textOrFile(argument: string): Promise<string> {
  return argument.startsWith('@') ? (await bytesOfFile(argument.slice(1))).toString('utf8') : argument
}

/** The bytes of a file, or of stdin for `-`. @throws {NsbError} NSB_FILE_NOT_READABLE */
export async function bytesOfFile(path: string): Promise<Buffer> {
  if (path === '-') {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  }
  return readNamedFile(path)
}

/** `--set-header name=value` and `--unset-header name`. @throws {NsbError} NSB_BAD_HEADER */
export function headerChanges(set: readonly string[] = [], unset: readonly string[] = []): HeaderChanges {
  const pairs = set.map((pair): [string, string] => {
    const equals = pair.indexOf('=')
    if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)]
    throw new NsbError({
      code: 'NSB_BAD_HEADER',
      message: `'${pair}' is not of the form name=value.`,
      suggestions: ['--set-header Tenant=acme'],
    })
  })
  return { set: Object.fromEntries(pairs), unset }
}
