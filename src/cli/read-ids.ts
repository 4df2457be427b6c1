import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { NsbError, errorText } from '../message/nsb-error.ts'
import { refuseNamedPipe } from '../toolkit/named-pipe.ts'

/**
 * Reads ids from a file, or from stdin for `-`.
 *
 * @throws {NsbError} NSB_BAD_INPUT when there is nothing to read, or no id in it
 */
export async function readIds(source: string): Promise<string[]> {
  if (source === '-' && process.stdin.isTTY) throw badInput(`--from - reads ids from stdin, and stdin is a terminal.`)
  const content = await (source === '-' ? text(process.stdin) : readNamed(source)).catch((error: unknown) => {
    throw badInput(`--from '${source}' cannot be read: ${errorText(error)}`)
  })
  const ids = idsIn(content)
  if (ids.length === 0) throw badInput(`--from '${source}' has no ids.`)
  return ids
}

async function readNamed(path: string): Promise<string> {
  refuseNamedPipe(path)
  return readFile(path, 'utf8')
}

/** One id a line; or the JSON or NDJSON that errors commands print. */
export function idsIn(content: string): string[] {
  const whole = parsed(content)
  if (whole !== undefined) return idsOf(whole)
  return content.split('\n').flatMap((line) => {
    const trimmed = line.trim()
    if (trimmed === '') return []
    return trimmed.startsWith('{') ? idsOf(parsed(trimmed)) : [trimmed.split(/\s/, 1)[0] as string]
  })
}

function parsed(json: string): unknown {
  if (!/^\s*[{[]/.test(json)) return undefined
  try {
    return JSON.parse(json) as unknown
  } catch {
    return undefined
  }
}

function idsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(idsOf)
  if (typeof value !== 'object' || value === null) return []
  if ('uniqueId' in value && typeof value.uniqueId === 'string') return [value.uniqueId]
  return 'items' in value ? idsOf(value.items) : []
}

function badInput(message: string): NsbError {
  return new NsbError({ code: 'NSB_BAD_INPUT', message, suggestions: ['nsb errors list -o ids | nsb errors replay --from - --yes'] })
}
