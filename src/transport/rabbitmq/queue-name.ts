import { NsbError } from '../../message/nsb-error.ts'

/** Whether a queue or an exchange can have that name: AMQP has room for 255 bytes, and means another thing by an empty one. */
export function isQueueName(name: string): boolean {
  return name !== '' && (name.length <= 85 || Buffer.byteLength(name) <= 255)
}

/** @param what `a queue` @throws {NsbError} NSB_BAD_NAME */
export function checkQueueName(name: string, what: string): string {
  if (isQueueName(name)) return name
  throw new NsbError({
    code: 'NSB_BAD_NAME',
    message: `'${name.length > 120 ? `${name.slice(0, 120)}…` : name}' cannot be the name of ${what} on RabbitMQ: ${name === '' ? 'it is empty' : 'it is longer than 255 bytes'}.`,
    suggestions: ['Choose a shorter name'],
  })
}
