import { Flags, type Interfaces } from '@oclif/core'
import { durationFlag } from '../global-flags.ts'

const retries = { helpGroup: 'RETRIES' } as const
const end = { helpGroup: 'END' } as const

/** The flags of `nsb run`. */
export const runFlags = {
  name: Flags.string({ helpValue: '<endpoint>', summary: 'name of the endpoint and its queue' }),
  instance: Flags.string({ helpValue: '<id>', summary: 'id of this instance: a queue of its own, for requests' }),
  only: Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '<handler>',
    summary: 'run this handler only; may be given several times',
  }),
  concurrency: Flags.integer({ min: 1, helpValue: '<n>', summary: 'messages in hand at the same time' }),
  watch: Flags.boolean({ char: 'w', summary: 'reload when code or a .json file of the project changes' }),
  purge: Flags.boolean({ summary: 'first remove what waits in the queue; asks' }),
  log: Flags.string({ options: ['pretty', 'json'], summary: 'form of the output; json: one object per line, the first one says ready' }),
  inspect: Flags.boolean({ summary: 'let a debugger attach to the handlers' }),
  supervised: Flags.string({ hidden: true, options: ['keys', 'plain'] }),
  'until-idle': durationFlag({ summary: 'end when there was nothing to do for that long, delayed retries included', ...end }),
  max: Flags.integer({ min: 1, helpValue: '<n>', summary: 'end when n messages were handled or failed', ...end }),
  'max-time': durationFlag({ summary: 'end after that long', ...end }),
  'no-retries': Flags.boolean({
    summary: 'every failure goes to the error queue at once',
    exclusive: ['immediate-retries', 'delayed-retries', 'delay-increase'],
    ...retries,
  }),
  'immediate-retries': Flags.integer({
    min: 0,
    aliases: ['immediate'],
    helpValue: '<n>',
    summary: 'attempts right after the first',
    ...retries,
  }),
  'delayed-retries': Flags.integer({ min: 0, aliases: ['delayed'], helpValue: '<n>', summary: 'rounds after that', ...retries }),
  'delay-increase': durationFlag({ aliases: ['delay'], summary: 'first wait; the n-th is n times as long', ...retries }),
}

export type RunFlags = Interfaces.InferredFlags<typeof runFlags> & { readonly json?: boolean | undefined }

/** One object per line instead of text for people. */
export function wantsJson(flags: RunFlags): boolean {
  return flags.log === 'json' || (flags.log === undefined && flags.json === true)
}
