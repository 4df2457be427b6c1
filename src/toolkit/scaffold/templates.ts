import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NsbError } from '../../message/nsb-error.ts'
import { packageRoot } from '../load-handlers/own-package.ts'

/** Names that templates write as `__name__`, in file names and in text. */
export type Values = Readonly<Record<string, string>>

export interface TemplateFile {
  readonly path: string
  readonly text: string
}

export interface Template {
  readonly description: string
  readonly files: readonly TemplateFile[]
  /** Files called `*.part`: text for a placeholder, by name without extension. */
  readonly parts: Readonly<Record<string, string>>
}

/**
 * Reads a template: the project's own in `.nsb/templates/<name>`, else the one that comes with nsb.
 *
 * @param variant the subfolder to take, when the template has some
 * @throws {NsbError} NSB_BAD_TEMPLATE
 */
export async function loadTemplate(name: string, project: string, variant = ''): Promise<Template> {
  const own = await readTemplate(join(project, '.nsb', 'templates', name), variant)
  const template = own ?? (await readTemplate(join(packageRoot(), 'templates', name), variant))
  if (!template) throw new NsbError({ code: 'NSB_BAD_TEMPLATE', message: `There is no template '${name}' with a template.json.` })
  return template
}

async function readTemplate(folder: string, variant: string): Promise<Template | undefined> {
  const about = await readFile(join(folder, 'template.json'), 'utf8').catch(() => undefined)
  if (about === undefined) return undefined
  const paths = await filesBelow(join(folder, variant), '')
  const files = await Promise.all(
    paths
      .filter((path) => path !== 'template.json')
      .map(async (path) => ({ path, text: await readFile(join(folder, variant, path), 'utf8') })),
  )
  const isPart = ({ path }: TemplateFile): boolean => path.endsWith('.part')
  if (files.length === 0)
    throw new NsbError({ code: 'NSB_BAD_TEMPLATE', message: `The template in ${join(folder, variant)} has no files.` })
  return {
    description: descriptionOf(about, folder),
    files: files.filter((file) => !isPart(file)),
    parts: Object.fromEntries(files.filter(isPart).map(({ path, text }) => [path.replace(/\.part$/, ''), text])),
  }
}

function descriptionOf(json: string, folder: string): string {
  try {
    return String((JSON.parse(json) as { description?: unknown }).description)
  } catch (error) {
    throw new NsbError({
      code: 'NSB_BAD_TEMPLATE',
      message: `${join(folder, 'template.json')} is not JSON: ${(error as Error).message}`,
      cause: error,
    })
  }
}

async function filesBelow(folder: string, prefix: string): Promise<string[]> {
  const entries = await readdir(join(folder, prefix), { withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    entries.map(async (entry) => (entry.isDirectory() ? filesBelow(folder, `${prefix}${entry.name}/`) : [`${prefix}${entry.name}`])),
  )
  return found.flat().toSorted()
}

/** The files of a template with the values in place. */
export function renderFiles(template: Template, values: Values): readonly TemplateFile[] {
  return template.files.map(({ path, text }) => ({ path: render(path, values), text: render(text, values) }))
}

/**
 * Puts values in place of `__name__`. A placeholder alone on its line keeps its indentation for every line of the value, and takes the line
 * with it when the value is empty.
 *
 * @throws {NsbError} NSB_BAD_TEMPLATE for a name without value
 */
export function render(text: string, values: Values): string {
  return text
    .replace(/^([ \t]*)__([A-Za-z]+)__[ \t]*\n/gm, (_line, indent: string, name: string) => {
      const value = valueOf(name, values)
      return value === '' ? '' : `${value.replace(/^(?=.)/gm, indent)}\n`
    })
    .replace(/__([A-Za-z]+)__/g, (_all, name: string) => valueOf(name, values))
}

function valueOf(name: string, values: Values): string {
  const value = Object.hasOwn(values, name) ? values[name] : undefined
  if (value === undefined)
    throw new NsbError({
      code: 'NSB_BAD_TEMPLATE',
      message: `A template uses '__${name}__', which has no value here.`,
      suggestions: [`It has: ${Object.keys(values).join(', ')}`],
    })
  return value
}
