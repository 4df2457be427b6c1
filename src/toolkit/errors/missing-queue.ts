import { NsbError } from '../../message/nsb-error.ts'
import { QueueNotFoundError } from '../../transport/queue-not-found.ts'
import type { Operations } from '../../transport/transport.ts'

/** Where failures lie by the usual names: `error`, `Billing.Errors`, `orders_error`, `orders_skipped`, `dead-letter-queue`. */
const looksLikeOne = /error|dead.?letter|\bdlq\b|poison|_skipped$/i
const mostNamed = 10

/** The error queues among these, by their names. */
export function errorQueuesIn(queues: readonly string[]): readonly string[] {
  return queues.filter((queue) => looksLikeOne.test(queue)).slice(0, mostNamed)
}

/**
 * What is said where an error queue is not there, by its name or by the default: nobody knows then whether anything failed, so it is never
 * taken for an empty one. Any other error stays as it is.
 */
export function missingErrorQueue(operations: Operations, queue: string, error: unknown): unknown {
  if (!(error instanceof QueueNotFoundError) || error.queue !== queue) return error
  const others = errorQueuesIn(error.existing)
  const [first] = others
  const named = others.map((each) => `'${each}'`).join(', ')
  const isFolder = operations.can.lookWithoutTrace
  return new NsbError({
    code: error.code,
    message: `${error.message} So nobody can tell whether anything failed.`,
    suggestions: [
      ...(first === undefined
        ? []
        : [
            `${others.length > 1 ? 'These look like error queues' : 'This looks like an error queue'}: ${named}; name one: --error-queue <name>`,
          ]),
      isFolder
        ? 'An endpoint makes it when it starts: nsb run. Or the messages are in another folder: --storage <dir>'
        : 'An endpoint makes it when it starts. Or it is on another virtual host, which the end of the address names: nsb queues list',
    ],
    details: { ...error.details, errorQueues: others },
    cause: error,
  })
}
