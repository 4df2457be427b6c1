import type { Chance } from './chance.ts'
import { type KnownMessage, type Nature, target } from './messages.ts'

/** A command that is about to be killed, and what it promises. */
export interface KilledCommand {
  readonly name: CommandName
  readonly words: readonly string[]
  /** Where what it takes out of the error queue is then: in queues alone, or in a file; or it was in that file already. */
  readonly file?: { readonly path: string; readonly role: 'to' | 'from' }
  /** What its copies have in their bodies that the originals have not. */
  readonly changes?: Readonly<Record<string, unknown>>
  /** The id of the only message it is about. */
  readonly only?: string
  /** Removes for good. */
  readonly deletes: boolean
  /** Of those that it removes from the error queue once it is finished: true at least for these. */
  mustGo(message: KnownMessage): boolean
}

export const commandNames = [
  'replay',
  'replay, slowed down',
  'replay, filtered',
  'replay, staged',
  'replay, staged and slowed down',
  'replay, patched',
  'replay, staged and patched',
  'replay, waited for',
  'replay of poison',
  'archive',
  'archive of poison',
  'archive, not kept',
  'export --remove',
  'import',
  'import of duplicates',
  'import --replay',
  'edit',
  'edit --no-replay',
] as const

export type CommandName = (typeof commandNames)[number]

const patch = ['--patch', '[{"op":"add","path":"/patched","value":true}]']
const patched = { patched: true }

/** When to kill it, seen from the beginning of its journal. */
export interface Moments {
  /** About how long it takes; the campaign learns. */
  readonly lastsMs: number
  /** What its journal says on the way, and how often at most. */
  readonly lines: readonly (readonly [text: string, times: number])[]
}

export function momentsOf(name: CommandName): Moments {
  if (name.startsWith('edit')) return { lastsMs: 6, lines: [['"selected":', 1]] }
  if (!name.startsWith('replay'))
    return {
      lastsMs: 30,
      lines: [
        ['"selected":', 3],
        ['"safe":', 2],
      ],
    }
  const lines = [
    ['"selected":', 4],
    ['"safe":', 3],
  ] as const
  return { lastsMs: 120, lines: name.includes('staged') ? [...lines, ['"phase":"moving"', 1], ['"phase":"draining"', 1]] : lines }
}

/** What cannot be sent stays; nobody can tell which those without a time are; one of each two is meant. */
const replayable: ReadonlySet<Nature> = new Set(['plain', 'other', 'large', 'binary'])

/** How many poison messages, and how many messages, the command should meet. */
export function amountsFor(name: CommandName): { readonly messages: number; readonly poison: number } {
  if (name.startsWith('edit')) return { messages: 40, poison: 2 }
  return name.endsWith('poison') ? { messages: 200, poison: 150 } : { messages: 240, poison: 4 }
}

/** @param folder for files of its own */
export function commandOf(name: CommandName, folder: string, messages: readonly KnownMessage[], chance: Chance): KilledCommand {
  const window = chance.isLucky(0.5) ? ['--window', String(chance.oneOf([1, 7, 200]))] : []
  const goes = ({ nature }: KnownMessage): boolean => replayable.has(nature)
  const goesPatched = ({ nature }: KnownMessage): boolean => nature !== 'binary' && replayable.has(nature)
  const whole = chance.isLucky(0.6)
  const some = whole ? ['--all'] : ['--type', 'PlaceOrder']
  const isSome = ({ nature }: KnownMessage): boolean => whole || nature !== 'other'
  const replay = (words: readonly string[], more: Partial<KilledCommand> = {}): KilledCommand => ({
    name,
    words: ['errors', 'replay', '--yes', ...words, ...window],
    deletes: false,
    mustGo: goes,
    ...more,
  })
  const slow = chance.isLucky(0.5) ? ['--rate', `${chance.oneOf([300, 800])}/s`] : ['--batch', '20,100,rest', '--batch-pause', '50ms']
  const never = (): boolean => false

  switch (name) {
    case 'replay':
      return replay(['--all'])
    case 'replay, slowed down':
      return replay(['--all', ...slow])
    case 'replay, filtered': {
      const limited = chance.isLucky(0.5)
      const words = ['--type', 'PlaceOrder', ...(limited ? ['--limit', '60'] : []), ...(chance.isLucky(0.3) ? ['--newest'] : [])]
      return replay(words, { mustGo: limited ? never : (message) => goes(message) && message.nature !== 'other' })
    }
    case 'replay, staged':
      return replay([...some, '--staged'], { mustGo: (message) => goes(message) && isSome(message) })
    case 'replay, staged and slowed down':
      return replay([...some, '--staged', ...slow], { mustGo: (message) => goes(message) && isSome(message) })
    case 'replay, patched':
      return replay([...some, ...patch], { changes: patched, mustGo: (message) => goesPatched(message) && isSome(message) })
    case 'replay, staged and patched':
      return replay(['--all', '--staged', ...patch], { changes: patched, mustGo: goesPatched })
    case 'replay, waited for':
      return replay(['--all', '--wait=150ms'])
    case 'replay of poison':
      return replay(['--kind', 'poison', '--to', target], { mustGo: never })
    case 'archive':
    case 'archive of poison':
    case 'archive, not kept': {
      const what = name === 'archive of poison' ? ['--kind', 'poison'] : some
      const kept = name !== 'archive, not kept'
      const path = `${folder}/archived.ndjson`
      return {
        name,
        words: ['errors', 'archive', '--yes', ...what, ...(kept ? ['--to-file', path] : ['--no-keep'])],
        ...(kept ? { file: { path, role: 'to' } } : {}),
        deletes: !kept,
        // What was not begun with stays in the queue.
        mustGo: never,
      }
    }
    case 'export --remove': {
      const path = `${folder}/exported.ndjson`
      const words = ['errors', 'export', '--yes', ...some, '--remove', '--file', path]
      return { name, words, file: { path, role: 'to' }, deletes: false, mustGo: never }
    }
    case 'import':
    case 'import of duplicates':
    case 'import --replay': {
      const path = `${folder}/saved.ndjson`
      const how = { import: [], 'import of duplicates': ['--allow-duplicates'], 'import --replay': ['--replay'] }[name]
      const words = ['errors', 'import', path, '--yes', ...how, ...window]
      return { name, words, file: { path, role: 'from' }, deletes: false, mustGo: never }
    }
    case 'edit':
    case 'edit --no-replay': {
      const { id } = chance.oneOf(messages.filter(({ nature }) => nature === 'plain' || nature === 'large'))
      const words = ['errors', 'edit', id, '--merge', '{"edited":true}', '--yes', ...(name === 'edit' ? [] : ['--no-replay'])]
      return { name, words, changes: { edited: true }, only: id, deletes: false, mustGo: never }
    }
  }
}
