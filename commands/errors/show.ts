import { isUtf8 } from 'node:buffer'
import { Args, Flags } from '@oclif/core'
import { ErrorsCommand, maxHoldFlag, refreshFlag, pastedId } from '../../src/cli/errors/errors-command.ts'
import { bodyText, wholeBody } from '../../src/cli/errors/body-text.ts'
import { rememberedText, showText } from '../../src/cli/errors/show-text.ts'
import { stackedExceptions } from '../../src/cli/errors/stack-text.ts'
import { printable } from '../../src/cli/printable.ts'
import { showInPager } from '../../src/cli/pager.ts'
import { type FailedMessage, isTextBody } from '../../src/message/failure.ts'
import { stackTraceOf } from '../../src/message/foreign-failure.ts'
import { Header } from '../../src/message/headers.ts'
import { operatorHeaders } from '../../src/message/native-headers.ts'
import { type Shown, showFailed } from '../../src/toolkit/errors/browse/browse.ts'
import type { BrowseOptions } from '../../src/toolkit/errors/browse/browsed.ts'
import { isEnough, rememberFailed } from '../../src/toolkit/errors/browse/kept-look.ts'
import { failedFields, isoTime, lookFields } from '../../src/toolkit/errors/documents.ts'
import { replayHistory } from '../../src/toolkit/errors/browse/replay-history.ts'
import type { Headers, Transport } from '../../src/transport/transport.ts'

export default class ErrorsShow extends ErrorsCommand {
  static override summary = 'one failed message: exception, origin, headers, body'
  static override description =
    `Finds a message by its unique id (4 characters are enough if they mean one) or its whole message id, and leaves it where it is.
Where looking costs a delivery, and the queue was read in the last 10 minutes, it shows what was seen then, with the body up to 64 KiB
(32 MiB of bodies in all); --headers, --stack and --json read the queue again.

Exit codes: 0 done; 2 usage, or the id means several messages; 4 no such message, or no such queue; 5 the transport cannot be reached.`
  static override examples = [
    '<%= config.bin %> errors show acc35ddb',
    '<%= config.bin %> errors show acc35ddb --headers --stack',
    '<%= config.bin %> errors show acc35ddb --raw > body.json',
    '<%= config.bin %> errors show acc35ddb --json',
  ]
  static override args = {
    id: Args.string({ required: true, ignoreStdin: true, description: 'unique id, at least 4 characters of it, or message id' }),
  }
  static override flags = {
    headers: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'also all headers' }),
    body: Flags.boolean({
      helpGroup: 'OUTPUT',
      summary: 'only the body: JSON and XML with indentation, what is no text as bytes',
      exclusive: ['raw'],
    }),
    raw: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'only the body, byte for byte; on a terminal without what would steer it' }),
    stack: Flags.boolean({ helpGroup: 'OUTPUT', summary: 'the whole stack trace' }),
    refresh: refreshFlag,
    'max-hold': maxHoldFlag,
  }

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsShow)
    const queue = await this.errorQueue()
    const transport = await this.openTransport()
    const options = this.browseOptions(queue, { ids: [args.id] }, flags['max-hold'])
    if (!flags.refresh && (await this.#showRemembered(transport, options, args.id, flags))) return undefined
    const shown = await showFailed(transport, options, args.id)
    this.noteFacts(queue, shown, flags['max-hold'])

    const { body, headers } = shown.message
    if ((flags.raw && !this.jsonEnabled()) || flags.body) this.#showBody(headers, body, flags.raw)
    else {
      const text = showText(shown, flags, this.colour.out)
      if (this.jsonEnabled() || !(await showInPager(text))) this.out(text)
      this.#hints(shown.failed)
    }
    return { schema: 'nsb.errors.show/1', profile: await this.profileName(), queue, ...lookFields([shown]), items: [shownFields(shown)] }
  }

  /** What an earlier look has kept, if that is what was asked for. @returns whether it is shown */
  async #showRemembered(
    transport: Transport,
    options: BrowseOptions,
    id: string,
    flags: {
      readonly body: boolean
      readonly headers: boolean
      readonly raw: boolean
      readonly stack: boolean
      readonly 'max-hold': number
    },
  ): Promise<boolean> {
    // It has not every header, and of a stack trace one frame.
    if (flags.headers || flags.stack || this.jsonEnabled()) return false
    const remembered = await rememberFailed(transport, options, id)
    if (remembered === undefined) return false
    const { failed, message } = remembered
    const body = message.keptBody?.()
    const isBodyWanted = flags.body || flags.raw
    if (isBodyWanted ? body === undefined : !isEnough(remembered)) return false
    this.noteFacts(options.queue, remembered, flags['max-hold'])
    if (isBodyWanted) this.#showBody(message.headers, body as Uint8Array, flags.raw)
    else {
      const text = rememberedText(remembered, this.colour.out)
      if (!(await showInPager(text))) this.out(text)
      this.#hints(failed, body === undefined ? ['--refresh'] : [])
    }
    return true
  }

  /** Nothing but the body. */
  #showBody(headers: Headers, body: Uint8Array, isRaw: boolean): void {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    if (isRaw) process.stdout.write(process.stdout.isTTY ? printable(bytes.toString()) : bytes)
    else this.out(bodyText(headers, bytes, wholeBody).lines.join('\n'))
  }

  /** @param again flags that show more of it */
  #hints({ kind, queue, uniqueId }: FailedMessage, again: readonly string[] = []): void {
    const id = pastedId(uniqueId)
    const shows = again.map((flag) => `nsb errors show ${id} ${flag}`)
    if (kind === 'ack') return this.next(...shows)
    // Only endpoints say what became of it.
    const how = kind === 'failure' ? ' --wait' : queue === undefined ? ' --to <queue>' : ''
    this.next(...shows, `nsb errors replay ${id}${how}`, ...(kind === 'failure' ? [`nsb errors edit ${id}`] : []))
  }
}

function shownFields({ failed, message }: Shown): object {
  const { handler, sender, conversationId, relatedTo } = failed
  const { at, editOf, operation } = replayHistory(message.headers)
  const stack = stackTraceOf(message.headers)
  const causes = stack === undefined ? [] : stackedExceptions(stack).slice(1)
  const more = {
    sentAt: isoTime(failed.sentAt),
    sender,
    handler,
    conversationId,
    relatedTo,
    causes: causes.length === 0 ? undefined : causes.map(({ title }) => title),
    replayedAt: isoTime(at),
    replayOperation: operation,
    editOf,
    unreadable: message.unreadable,
  }
  const text = isTextBody(message.headers) && isUtf8(message.body)
  const body = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  return {
    ...failedFields(failed),
    ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)),
    headers: operatorHeaders(message),
    body: {
      encoding: text ? 'utf8' : 'base64',
      ...(message.headers[Header.ContentType] === undefined ? {} : { contentType: message.headers[Header.ContentType] }),
      data: body.toString(text ? 'utf8' : 'base64'),
    },
  }
}
