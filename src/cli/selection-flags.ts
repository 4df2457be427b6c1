import { Flags } from '@oclif/core'
import { failedKinds } from '../message/failure.ts'
import type { BodyPath } from '../toolkit/errors/select/body-path.ts'
import type { Criteria } from '../toolkit/errors/select/select.ts'

const several = { multiple: true, multipleNonGreedy: true, helpGroup: 'SELECT' } as const

/** The flags that select failed messages; the same for every errors command. Different flags narrow, one flag repeated widens. */
export const selectionFlags = {
  type: Flags.string({ helpValue: '<type>', summary: 'message type: full name, last segment, or with *', ...several }),
  exception: Flags.string({ helpValue: '<type>', summary: 'exception type: full name, last segment, or with *', ...several }),
  message: Flags.string({ helpValue: '<text>', summary: 'part of the exception message, or /regex/i', ...several }),
  group: Flags.string({ helpValue: '<id>', summary: 'group id, at least 4 characters of it', ...several }),
  endpoint: Flags.string({ helpValue: '<name>', summary: 'endpoint it failed in; * allowed', ...several }),
  'failed-queue': Flags.string({ helpValue: '<name>', summary: 'queue it failed in; * allowed', ...several }),
  host: Flags.string({ helpValue: '<name>', summary: 'host it failed on; * allowed', ...several }),
  sender: Flags.string({ helpValue: '<name>', summary: 'endpoint that sent it; * allowed', ...several }),
  since: Flags.string({ helpValue: '<time>', summary: 'failed at or after: ISO 8601, 2h, 3d, today', helpGroup: 'SELECT' }),
  until: Flags.string({ helpValue: '<time>', summary: 'failed before', helpGroup: 'SELECT' }),
  header: Flags.string({
    helpValue: '<criterion>',
    summary: "name, name=value or 'name~regex'; ! in front negates; repeated: all of them",
    ...several,
  }),
  body: Flags.string({
    helpValue: '<jsonpath>',
    summary: "JSONPath that finds something in the body: '$.Lines[?@.Quantity > 5]', '$[?$.Total == 10]'",
    ...several,
  }),
  conversation: Flags.string({ helpValue: '<id>', summary: 'conversation, at least 4 characters of its id', ...several }),
  kind: Flags.string({ options: [...failedKinds], summary: 'kind of entry (default failure)', ...several }),
  'not-replayed': Flags.boolean({ summary: 'only what was never replayed or edited, as the column REPLAYED has it', helpGroup: 'SELECT' }),
  from: Flags.string({
    helpValue: '<file|->',
    summary: 'read ids from a file or stdin: one a line, or output of errors list',
    helpGroup: 'SELECT',
  }),
}

/** Values of the selection flags. */
export interface SelectionChoice {
  readonly type?: string[] | undefined
  readonly exception?: string[] | undefined
  readonly message?: string[] | undefined
  readonly group?: string[] | undefined
  readonly endpoint?: string[] | undefined
  readonly 'failed-queue'?: string[] | undefined
  readonly host?: string[] | undefined
  readonly sender?: string[] | undefined
  readonly since?: string | undefined
  readonly until?: string | undefined
  readonly header?: string[] | undefined
  readonly body?: string[] | undefined
  readonly conversation?: string[] | undefined
  readonly kind?: string[] | undefined
  readonly 'not-replayed'?: boolean
  readonly from?: string | undefined
}

/** The criteria of a command line: its flags, its positional ids and those of `--from`. */
export async function criteriaFrom(choice: SelectionChoice, positional: readonly string[]): Promise<Criteria> {
  const read = choice.from === undefined ? [] : await (await import('./read-ids.ts')).readIds(choice.from)
  const { type, exception, message, group, endpoint, host, sender, since, until, header, conversation, kind } = choice
  const given = {
    type,
    exception,
    message,
    group,
    endpoint,
    failedQueue: choice['failed-queue'],
    host,
    sender,
    since,
    until,
    header,
    conversation,
    kind,
  }
  return {
    ...(choice.body === undefined ? {} : { body: await compiled(choice.body) }),
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ids: [...positional, ...read],
    notReplayed: choice['not-replayed'] === true,
  }
}

async function compiled(paths: readonly string[]): Promise<readonly BodyPath[]> {
  const { bodyPath } = await import('../toolkit/errors/select/body-path.ts')
  return Promise.all(paths.map((path) => bodyPath(path)))
}
