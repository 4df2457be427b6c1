import { displayTypeOf, narrowTypeOf } from '../../message/failure.ts'
import { exceptionText } from '../../toolkit/errors/replay/exception-text.ts'
import type { ListedFailure } from '../../toolkit/errors/browse/browse.ts'
import { isoTime } from '../../toolkit/errors/documents.ts'
import { relativeTime } from '../relative-time.ts'
import type { Column } from '../table.ts'
import { shortId } from './errors-command.ts'

/** A failed message with the error queue it lies in. */
export interface ListedRow extends ListedFailure {
  readonly errorQueue: string
}

const firstLine = (text: string | undefined): string => text?.split('\n', 1)[0]?.trimEnd() ?? ''

/** Columns of `errors list`, in order. */
export function listColumns(now: number, severalQueues: boolean): readonly Column<ListedRow>[] {
  return [
    { name: 'id', value: ({ failed }) => failed.uniqueId, short: ({ failed }) => shortId(failed.uniqueId) },
    {
      name: 'failed',
      value: ({ failed }) => isoTime(failed.failedAt),
      short: ({ failed }) => relativeTime(failed.failedAt, now),
      absent: '?',
    },
    {
      name: 'type',
      value: ({ failed }) => (failed.type === undefined ? undefined : displayTypeOf(failed.type)),
      short: ({ failed }) => (failed.type === undefined ? '–' : narrowTypeOf(failed.type)),
    },
    { name: 'endpoint', value: ({ failed }) => failed.endpoint },
    {
      name: 'replayed',
      value: ({ duplicate, failed }) => (duplicate ? `${failed.replayed} dup` : failed.replayed),
      order: ({ failed }) => failed.replayed,
      short: ({ duplicate, failed }) =>
        [failed.replayed === 0 ? '' : `${failed.replayed}×`, duplicate ? 'dup' : ''].filter(Boolean).join(' ') || '–',
    },
    { name: 'message', value: ({ failed }) => failed.messageId, wide: true },
    { name: 'kind', value: ({ failed }) => failed.kind, wide: true },
    { name: 'queue', value: ({ failed }) => failed.queue, wide: true },
    { name: 'host', value: ({ failed }) => failed.host, wide: true },
    { name: 'errorqueue', value: ({ errorQueue }) => errorQueue, wide: !severalQueues },
    {
      name: 'exception',
      value: ({ failed }) => firstLine(exceptionText(failed.exceptionType, failed.exceptionMessage)) || undefined,
      whole: ({ failed }) => exceptionText(failed.exceptionType, failed.exceptionMessage),
    },
  ]
}
