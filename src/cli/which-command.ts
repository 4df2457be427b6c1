import { withoutPasswords } from '../toolkit/config/secrets.ts'
import { NsbError } from '../message/nsb-error.ts'
import { nearest } from '../message/nearest.ts'
import type { KnownCommand } from './front-page.ts'

/** What the words after `nsb` ask for. */
export type Asked =
  | { readonly kind: 'front' }
  | { readonly kind: 'help' }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'errorCode'; readonly code: string }
  | { readonly kind: 'commandHelp'; readonly words: readonly string[] }
  | { readonly kind: 'command'; readonly command: KnownCommand; readonly words: readonly string[] }

const helpFlags = ['--help', '-h']

/**
 * Finds out what is asked for, without running anything.
 *
 * @throws {NsbError} NSB_UNKNOWN_COMMAND with the nearest command; never run by guess
 */
export function whichCommand(given: readonly string[], commands: readonly KnownCommand[]): Asked {
  if (given.length === 0) return { kind: 'front' }
  const words = given[0] === 'help' ? [...given.slice(1), '--help'] : [...given]
  const first = words[0] as string
  if (helpFlags.includes(first)) return { kind: 'help' }
  if (given[0] === 'help' && /^NSB_\w+$/i.test(first)) return { kind: 'errorCode', code: first.toUpperCase() }

  const ids = commands.flatMap((command) => [command.id, ...(command.aliases ?? [])])
  const second = words[1]
  const isTopic = ids.some((id) => id.startsWith(`${first}:`))
  const pair = isTopic && second !== undefined && !second.startsWith('-') ? `${first}:${second}` : undefined
  if (pair !== undefined && !ids.includes(pair)) throw unknownCommand(pair, ids)
  if (isTopic && pair === undefined && !ids.includes(first)) return { kind: 'topic', topic: first }
  if (!isTopic && !ids.includes(first)) throw unknownCommand(first, ids)

  const triple = pair !== undefined && ids.includes(`${pair}:${words[2]}`) ? `${pair}:${words[2]}` : undefined
  const named = triple ?? [pair, first].find((id) => id !== undefined && ids.includes(id)) ?? first
  const command = commands.find((each) => each.id === named || each.aliases?.includes(named) === true)
  const rest = words.slice(named.split(':').length)
  const flags = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest
  if (command === undefined || flags.some((flag) => helpFlags.includes(flag))) return { kind: 'commandHelp', words }
  return { kind: 'command', command, words: rest }
}

function unknownCommand(id: string, ids: readonly string[]): NsbError {
  // A ':' stands between the words of a command, and is what a login is known by.
  const shown = withoutPasswords(id)
  const written = shown !== id || id.includes('://') ? shown : id.replaceAll(':', ' ')
  if (id.startsWith('-'))
    return new NsbError({
      code: 'NSB_UNKNOWN_COMMAND',
      message: `'${id}' is not a command; flags come after it.`,
      suggestions: [`nsb <command> ${id}`],
    })
  const names = [...ids, ...new Set(ids.filter((each) => each.includes(':')).map((each) => each.slice(0, each.indexOf(':'))))]
  // The alias `s` is a part of almost every word.
  const meant = nearest(
    id,
    names.filter((name) => name.length > 1),
  )
  return new NsbError({
    code: 'NSB_UNKNOWN_COMMAND',
    message: `there is no command '${written}'.`,
    suggestions: meant.length > 0 ? meant.slice(0, 1).map((name) => `nsb ${name.replaceAll(':', ' ')}`) : ['nsb --help'],
    details: { command: written },
  })
}
