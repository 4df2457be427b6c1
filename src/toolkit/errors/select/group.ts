import { type FailedMessage, displayTypeOf, isForeign, receivingEndpointOf, typeOf } from '../../../message/failure.ts'
import { stackTraceOf } from '../../../message/foreign-failure.ts'
import { Header } from '../../../message/headers.ts'
import { deterministicGuid } from '../../../message/ids.ts'
import type { Headers } from '../../../transport/transport.ts'
import { exceptionTitle } from './stack-title.ts'

/** How failures are put into groups; ServiceControl knows the same five. */
export type Classifier = 'exception' | 'type' | 'queue' | 'instance' | 'endpoint'

/** ServiceControl's names, which are part of the group ids, and its titles; undefined: in no group. */
const classifiers: Readonly<Record<Classifier, { readonly name: string; readonly title: (headers: Headers) => string | undefined }>> = {
  exception: { name: 'Exception Type and Stack Trace', title: exceptionTitle },
  type: { name: 'Message Type', title: typeOf },
  queue: { name: 'Endpoint Address', title: (headers) => headers[Header.FailedQ] },
  instance: {
    name: 'Endpoint Instance',
    title: (headers) => {
      const endpoint = receivingEndpointOf(headers)
      return endpoint === undefined ? undefined : (headers['NServiceBus.Metric.InstanceId'] ?? endpoint.hostId)
    },
  },
  endpoint: { name: 'Endpoint Name', title: (headers) => receivingEndpointOf(headers)?.name },
}

export const classifierNames = Object.keys(classifiers) as Classifier[]

/** A failure's place in one classification. */
export interface GroupKey {
  readonly id: string
  readonly title: string
}

export function groupId(by: Classifier, title: string): string {
  return deterministicGuid(classifiers[by].name + title)
}

/** What a group is called, and its id made of; undefined: the failure is in none. */
export function groupTitle(headers: Headers, by: Classifier): string | undefined {
  return classifiers[by].title(headers)
}

/** The group of a failure; undefined when the classifier has no title for it. */
export function groupOf(headers: Headers, by: Classifier): GroupKey | undefined {
  const title = groupTitle(headers, by)
  return title === undefined ? undefined : { id: groupId(by, title), title }
}

/** What a failure is grouped by: its headers, for one that another system wrote about those an endpoint would have written. */
export function headersToGroup(failed: FailedMessage, headers: Headers): Headers {
  if (!isForeign(failed.kind)) return headers
  const { exceptionMessage, exceptionType, queue, type } = failed
  // The reason of a dead letter is no exception.
  const exception: readonly (readonly [string, string | undefined])[] =
    exceptionType === undefined
      ? []
      : [
          [Header.ExceptionType, exceptionType],
          [Header.ExceptionMessage, exceptionMessage],
          [Header.ExceptionStackTrace, stackTraceOf(headers)],
        ]
  const fields = [[Header.FailedQ, queue], [Header.EnclosedMessageTypes, type], ...exception] as const
  return { ...headers, ...Object.fromEntries(fields.filter(([, value]) => value !== undefined)) } as Headers
}

/** The title to show: that of a type is shortened to what a person calls it, the id is not. */
export function displayTitle(by: Classifier, title: string): string {
  return by === 'type' ? displayTypeOf(title) : title
}

/** The ids of the groups a failure is in, by any classifier. */
export function groupIds(headers: Headers): readonly string[] {
  return classifierNames.flatMap((by) => groupOf(headers, by)?.id ?? [])
}

/** Failures of one group, counted. */
export interface Group {
  readonly id: string
  readonly title: string
  count: number
  /** ms since 1970. */
  first: number | undefined
  last: number | undefined
  /** At most three of each. */
  readonly endpoints: string[]
  readonly types: string[]
}

/** Groups of several queues as one list, largest first. */
export function mergedGroups(groups: readonly Group[]): readonly Group[] {
  const byId = new Map<string, Group>()
  const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
  const later = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)
  const some = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].slice(0, 3)
  for (const group of groups) {
    const same = byId.get(group.id)
    byId.set(
      group.id,
      same === undefined
        ? group
        : {
            ...same,
            count: same.count + group.count,
            first: earlier(same.first, group.first),
            last: later(same.last, group.last),
            endpoints: some(same.endpoints, group.endpoints),
            types: some(same.types, group.types),
          },
    )
  }
  return [...byId.values()].toSorted((a, b) => b.count - a.count || (b.last ?? 0) - (a.last ?? 0))
}
