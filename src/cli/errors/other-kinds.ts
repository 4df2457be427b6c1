import type { Browsed, OtherKinds } from '../../toolkit/errors/browse/browsed.ts'

const words: readonly (readonly [kind: keyof OtherKinds, one: string, several: string])[] = [
  ['poison', 'poison message', 'poison messages'],
  ['masstransit', 'MassTransit fault', 'MassTransit faults'],
  ['dlx', 'dead-lettered message', 'dead-lettered messages'],
  ['ack', 'acknowledgement', 'acknowledgements'],
]

/**
 * What lies in the queue and is not listed: `2 poison messages: nsb errors list --kind poison`.
 *
 * @param isAlone nothing else was found, and nothing was left out: only then are acknowledgements somebody's concern
 * @param placed the command line as it is to be typed
 */
export function otherKindsInWords(
  others: OtherKinds,
  isAlone: boolean,
  placed: (command: string) => string,
): readonly { readonly count: number; readonly text: string }[] {
  return words
    .filter(([kind]) => others[kind] > 0 && (kind !== 'ack' || isAlone))
    .map(([kind, one, several]) => ({
      count: others[kind],
      text: `${others[kind]} ${others[kind] > 1 ? several : one}: ${placed(`nsb errors list --kind ${kind}`)}`,
    }))
}

/** Adds up what several queues have. */
export function addedOthers(a: OtherKinds, b: OtherKinds): OtherKinds {
  return { poison: a.poison + b.poison, masstransit: a.masstransit + b.masstransit, dlx: a.dlx + b.dlx, ack: a.ack + b.ack }
}

/**
 * Why a list has no line.
 *
 * @param looks of all the queues that were asked for
 * @param kinds as they were chosen
 */
export function whyNothing(looks: readonly Pick<Browsed, 'changedBy' | 'facts'>[], kinds: readonly string[] | undefined): string {
  // That is said of queues that were asked now; of what was kept only while it is the same.
  if (looks.every(({ changedBy, facts }) => facts.depth === 0 && changedBy === 0)) return 'the error queue is empty'
  if (looks.every(({ facts }) => facts.depth === 0)) return 'the error queue was empty then, and is not any more'
  return kinds === undefined ? 'no failure matches' : `no entry of kind ${kinds.join(' or ')} matches`
}

/** Of JSON: `poison` always, the others where there are some. */
export function otherKindFields({ dlx, masstransit, poison }: OtherKinds): object {
  return { poison, ...(masstransit > 0 ? { masstransit } : {}), ...(dlx > 0 ? { dlx } : {}) }
}
