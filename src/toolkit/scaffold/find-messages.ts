import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { type MessageKind, definitionOf } from '../../message/declaration.ts'
import { NsbError } from '../../message/nsb-error.ts'
import { findFiles } from '../load-handlers/find-files.ts'
import { loadModules } from '../load-handlers/load-modules.ts'
import type { Consent } from '../trust/trust.ts'
import { describedProperties } from './described-properties.ts'
import type { Property } from './properties.ts'

/** A message declaration as it stands in a source file. */
export interface Declaration {
  /** The exported name. */
  readonly name: string
  readonly fullName: string
  readonly kind: MessageKind
  /** Relative to the project. */
  readonly file: string
  /** `export const IOrderEvent = MessageInterface(…)`: its instances have no type of that name. */
  readonly isConstant: boolean
}

/** A message that code is generated for, declared already or about to be. */
export interface KnownMessage extends Declaration {
  readonly properties: readonly Property[]
}

const declaration =
  /^[ \t]*export\s+(?:class\s+(\w+)\s+extends|const\s+(\w+)\s*=)\s+(?:\w+\.)?(command|event|message|MessageInterface)\b(?:<[^()]*>)?\(\s*(['"`])([^'"`\n]+)\4(?=([^]{0,200}))/gm

/** Every message declaration in the files of a glob, found without running them. */
export async function findDeclarations(root: string, glob: string): Promise<readonly Declaration[]> {
  const files = await findFiles(root, glob)
  const found = await Promise.all(
    files.map(async (path) => {
      const text = await readFile(path, 'utf8')
      return [...text.matchAll(declaration)].map(([, className, constant, maker, , fullName = '', rest = '']): Declaration => {
        const kind =
          maker === 'MessageInterface'
            ? ((/\bkind:\s*['"](command|event|message)['"]/.exec(rest)?.[1] as MessageKind | undefined) ?? 'event')
            : (maker as MessageKind)
        return {
          name: className ?? constant ?? '',
          fullName,
          kind,
          file: relative(root, path).replaceAll('\\', '/'),
          isConstant: constant !== undefined,
        }
      })
    }),
  )
  return found.flat()
}

/**
 * The declaration of a name as it was typed: the full name if it has a namespace, else whatever has that short name.
 *
 * @throws {NsbError} NSB_AMBIGUOUS_TYPE when several have it
 */
export function declarationOf(given: string, declarations: readonly Declaration[]): Declaration | undefined {
  const meant = declarations.filter(({ name, fullName }) =>
    given.includes('.') ? fullName === given : name === given || fullName.endsWith(`.${given}`),
  )
  if (meant.length < 2) return meant[0]
  throw new NsbError({
    code: 'NSB_AMBIGUOUS_TYPE',
    message: `'${given}' is declared ${meant.length} times: ${meant.map(({ fullName, file }) => `'${fullName}' in ${file}`).join(', ')}.`,
    suggestions: ['Give the full name'],
  })
}

/** The declared messages with their properties, for which their files are loaded. */
export async function describeMessages(
  root: string,
  declarations: readonly Declaration[],
  consent: Consent | undefined,
): Promise<readonly KnownMessage[]> {
  const { modules, dispose } = await loadModules({ root, files: [...new Set(declarations.map(({ file }) => file))], consent })
  try {
    return declarations.map((each) => {
      const { namespace } = modules.find(({ file }) => relative(root, file).replaceAll('\\', '/') === each.file) ?? { namespace: {} }
      const definition = definitionOf((namespace as Readonly<Record<string, unknown>>)[each.name])
      return { ...each, properties: definition ? describedProperties(definition) : [] }
    })
  } finally {
    await dispose()
  }
}
