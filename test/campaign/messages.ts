import { failureHeaders } from '../cli/nsb.ts'
import type { Chance } from './chance.ts'

/** What is special about a message of a campaign. */
export type Nature = 'plain' | 'other' | 'twice' | 'noTarget' | 'noTime' | 'poison' | 'binary' | 'large'

/** A message that is known again wherever it goes: by a header that no command touches. */
export interface KnownMessage {
  readonly id: string
  readonly nature: Nature
  /** As an endpoint writes them. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** How often it is put into the error queue. */
  readonly times: number
}

/** One that was found afterwards. */
export interface FoundMessage {
  /** Those of a broker with their types. */
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
  /** What a broker knows of it beside that. */
  readonly properties: Readonly<Record<string, unknown>>
}

export const idHeader = 'Campaign.Id'
export const target = 'Sales'

/** More than ten in a row that cannot be sent end a replay, and those that stay are next to each other when it is resumed. */
const special: readonly (readonly [Nature, number])[] = [
  ['twice', 4],
  ['noTarget', 5],
  ['noTime', 4],
  ['binary', 3],
  ['large', 2],
]

export interface MessageAmounts {
  /** Makes their ids different from those of other rounds. */
  readonly round: number
  readonly count: number
  /** Of them. */
  readonly poison: number
  /** Of each body that is large. */
  readonly largeBytes: number
}

/** So many failures in any order, a few of each nature; every second one of the others is of another type. */
export function knownMessages({ count, largeBytes, poison, round }: MessageAmounts, chance: Chance): readonly KnownMessage[] {
  const natures = special.flatMap(([nature, times]) => Array.from({ length: times }, () => nature))
  for (let index = 0; index < poison; index++) natures.push('poison')
  while (natures.length < count) natures.push(natures.length % 2 === 0 ? 'plain' : 'other')
  return chance.shuffled(natures).map((nature, index) => knownMessage(`r${round}m${index}`, nature, largeBytes))
}

function knownMessage(id: string, nature: Nature, largeBytes: number): KnownMessage {
  const type = nature === 'other' ? 'Shop.Messages.Other' : 'Shop.Messages.PlaceOrder'
  const all: Record<string, string> = {
    ...failureHeaders(id, {
      'NServiceBus.FailedQ': nature === 'noTarget' ? 'Gone' : target,
      'NServiceBus.EnclosedMessageTypes': `${type}, Shop.Messages`,
      'NServiceBus.ConversationId': `conversation of ${id}`,
      ...(nature === 'binary' ? { 'NServiceBus.ContentType': 'application/octet-stream' } : {}),
    }),
    [idHeader]: id,
    'Campaign.Text': `ünïcode "${id}"`,
  }
  const left = Object.entries(all).filter(([name]) => {
    if (nature === 'poison') return !/FailedQ|TimeOfFailure|ExceptionInfo/.test(name)
    return nature !== 'noTime' || name !== 'NServiceBus.TimeOfFailure'
  })
  return { id, nature, headers: Object.fromEntries(left), body: bodyOf(id, nature, largeBytes), times: nature === 'twice' ? 2 : 1 }
}

function bodyOf(id: string, nature: Nature, largeBytes: number): Buffer {
  if (nature === 'binary') return Buffer.concat([Buffer.from([0, 255, 254, 128]), Buffer.from(id)])
  return Buffer.from(JSON.stringify({ Id: id, Pad: nature === 'large' ? 'x'.repeat(largeBytes) : 'é'.repeat(40) }))
}
