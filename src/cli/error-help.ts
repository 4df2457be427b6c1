import { readFile } from 'node:fs/promises'
import { nearest } from '../message/nearest.ts'
import { NsbError } from '../message/nsb-error.ts'

/**
 * The section of docs/errors.md about an error code.
 *
 * @throws {NsbError} NSB_NOT_FOUND with the nearest codes when the page does not have it
 */
export async function errorHelp(code: string, packageRoot: URL): Promise<string> {
  const page = await readFile(new URL('docs/errors.md', packageRoot), 'utf8').catch(() => '')
  const section = sectionAbout(code, page)
  if (section !== undefined) return section
  const meant = nearest(
    code,
    [...page.matchAll(/^#+ (NSB_\w+)/gm)].map((match) => match[1] as string),
  )
  throw new NsbError({
    code: 'NSB_NOT_FOUND',
    message: `'${code}' is not in docs/errors.md.`,
    suggestions: meant.map((each) => `nsb help ${each}`),
    details: { code, meant },
  })
}

/** A heading with the code and the text up to the next heading, or the row of a table with the code. */
export function sectionAbout(code: string, page: string): string | undefined {
  const lines = page.split('\n')
  const has = new RegExp(`\\b${code}\\b`)
  const heading = lines.findIndex((line) => line.startsWith('#') && has.test(line))
  if (heading >= 0) {
    const length = lines.slice(heading + 1).findIndex((line) => line.startsWith('#'))
    return lines
      .slice(heading, length < 0 ? undefined : heading + 1 + length)
      .join('\n')
      .trim()
  }
  const row = lines.find((line) => line.startsWith('|') && has.test(line.split('|')[1] ?? ''))
  return row
    ?.split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))
    .filter((cell) => cell !== '')
    .join('\n')
}
