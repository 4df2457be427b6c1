import { Flags } from '@oclif/core'
import { parseDuration } from '../message/wire-formats.ts'

/** A flag that takes `500ms`, `30s`, `5m`, `2h` or `3d`, and gives ms. */
export const durationFlag = Flags.custom<number>({
  helpValue: '<duration>',
  parse: (text) => Promise.resolve(parseDuration(text)),
})

const connection = { helpGroup: 'CONNECTION' } as const
const output = { helpGroup: 'OUTPUT' } as const
const safety = { helpGroup: 'SAFETY' } as const

/** What every command takes (spec: global flags). */
export const globalFlags = {
  profile: Flags.string({
    char: 'p',
    env: 'NSB_PROFILE',
    helpValue: '<name>',
    summary: 'profile of nsb.json to connect with',
    ...connection,
  }),
  transport: Flags.string({
    env: 'NSB_TRANSPORT',
    options: ['learning', 'rabbitmq'],
    summary: 'transport, instead of the one of the profile',
    ...connection,
  }),
  connection: Flags.string({
    env: 'NSB_CONNECTION',
    helpValue: '<url|->',
    // Single quotes keep it whole in POSIX shells and in PowerShell, where ; ends a command.
    summary: "amqp://… or 'host=…;username=…', which means RabbitMQ; - reads a line from stdin",
    ...connection,
  }),
  storage: Flags.string({ env: 'NSB_STORAGE', helpValue: '<dir>', summary: 'folder of the learning transport', ...connection }),
  'error-queue': Flags.string({
    env: 'NSB_ERROR_QUEUE',
    helpValue: '<name>',
    multiple: true,
    multipleNonGreedy: true,
    summary: 'error queue; where a command lists, may be given several times',
    ...connection,
  }),
  timeout: durationFlag({
    summary: 'longest wait for a connection, for each single request, and for another nsb that has the queue (default 30s)',
    ...connection,
  }),
  quiet: Flags.boolean({ char: 'q', summary: 'no notes and hints on stderr', ...output }),
  verbose: Flags.boolean({ char: 'v', summary: 'say more on stderr; twice: stack traces', ...output }),
  'no-color': Flags.boolean({ summary: 'no colours (also NO_COLOR=1)', ...output }),
  'no-progress': Flags.boolean({ env: 'NSB_NO_PROGRESS', summary: 'no progress lines', ...output }),
  'no-input': Flags.boolean({ env: 'NSB_NO_INPUT', summary: 'never ask (also when CI is set)', ...safety }),
  yes: Flags.boolean({ char: 'y', summary: 'answer yes to the confirmation', ...safety }),
  confirm: Flags.string({ helpValue: '<profile>', summary: 'answer for a protected profile, by its name', ...safety }),
  force: Flags.boolean({ summary: 'overrule the safety rule that was named in the error', ...safety }),
}

/** What commands with a list add. */
export const listingFlags = {
  output: Flags.string({
    char: 'o',
    options: ['table', 'wide', 'ids', 'json', 'ndjson', 'csv'],
    summary: 'form of the list; ids: bare ids for pipes; csv: an apostrophe is before text that would be a formula',
    ...output,
  }),
  columns: Flags.string({ helpValue: '<a,b>', summary: 'columns to show, in this order', ...output }),
  sort: Flags.string({ helpValue: '<[-]column>', summary: 'sort by a column; - for the largest first', ...output }),
  'no-header': Flags.boolean({ summary: 'no header line', ...output }),
  'no-truncate': Flags.boolean({ summary: 'never cut a cell to the width of the terminal', ...output }),
}
