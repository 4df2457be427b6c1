import { Args, Flags } from '@oclif/core'
import { editorOf } from '../../src/cli/errors/edit-file.ts'
import { bytesOfFile, headerChanges, textOrFile } from '../../src/cli/errors/edit-input.ts'
import { changeLines, editQuestion, warningsOf } from '../../src/cli/errors/edit-report.ts'
import { EditSession } from '../../src/cli/errors/edit-session.ts'
import { ErrorsCommand, maxHoldFlag, pastedId, shortId } from '../../src/cli/errors/errors-command.ts'
import { printable, printableLine } from '../../src/cli/printable.ts'
import type { MessageDefinition } from '../../src/message/declaration.ts'
import { Header } from '../../src/message/headers.ts'
import { NsbError, errorText } from '../../src/message/nsb-error.ts'
import { type Shown, showFailed } from '../../src/toolkit/errors/browse/browse.ts'
import { type Attempt, attempt, checkIsMessage, isUnchanged } from '../../src/toolkit/errors/edit/attempt.ts'
import { newMessageId } from '../../src/toolkit/errors/edit/edited-message.ts'
import type { HeaderChanges } from '../../src/toolkit/errors/edit/header-changes.ts'
import { bodyMerge, bodyPatch } from '../../src/toolkit/errors/edit/patch.ts'
import { sendEdited } from '../../src/toolkit/errors/edit/send-edited.ts'
import { schemaOf } from '../../src/toolkit/errors/edit/valid-body.ts'
import { newOperationId } from '../../src/toolkit/errors/operation-id.ts'
import { targetOf, targetProblem, whyNoQueue } from '../../src/toolkit/errors/replay/plan.ts'
import type { HeldMessage, Transport } from '../../src/transport/transport.ts'

const change = { helpGroup: 'CHANGE' } as const
const bodySources = ['body-file', 'patch', 'merge'] as const

export default class ErrorsEdit extends ErrorsCommand {
  static override summary = 'change a failed message and send it in the place of the original'
  static override description =
    `Opens $VISUAL or $EDITOR on the headers and the body of a message; flags change it without an editor. After a question the original is saved in the archive, the changed copy is sent to where the message failed (or --to, or the redirect in nsb.json), and the original is removed. The copy is a message of its own: it has a new message id, names the original in ServiceControl.EditOf, and no receiver takes it for one that was handled before. Headers that say which message it is or how it failed are locked.
The body must stay what its content type says, and what the schema of its type wants where the project declares it. A patch leaves what it does not touch as it is written, every digit included. Bodies that are binary, compressed or have encrypted properties cannot be changed.
Nothing is held while the editor is open. On a broker an edit is two deliveries of the queue: one to look, one to replace.

Exit codes: 0 done, or nothing was changed; 2 usage, a locked header, a body that is not valid: nothing was sent; 4 no such message, queue or target; 5 the transport cannot be reached; 6 not confirmed, or refused by a safety rule.`
  static override examples = [
    '<%= config.bin %> errors edit acc35ddb',
    `<%= config.bin %> errors edit acc35ddb --merge '{"Quantity":1}' --yes`,
    `<%= config.bin %> errors edit acc35ddb --patch '[{"op":"replace","path":"/Note","value":"checked"}]' --dry-run`,
    '<%= config.bin %> errors edit acc35ddb --set-header Tenant=acme --no-replay --yes',
    `echo '{"OrderId":"42","Note":null}' | <%= config.bin %> errors edit acc35ddb --body-file - --yes --json`,
  ]
  static override args = {
    id: Args.string({ required: true, ignoreStdin: true, description: 'unique id, at least 4 characters of it, or message id' }),
  }
  static override flags = {
    'body-only': Flags.boolean({ summary: 'only the body in the editor', exclusive: ['headers-only'], ...change }),
    'headers-only': Flags.boolean({ summary: 'only the headers in the editor', ...change }),
    'body-file': Flags.string({ helpValue: '<file|->', summary: 'the new body, byte for byte', exclusive: ['patch', 'merge'], ...change }),
    patch: Flags.string({
      helpValue: '<JSON|@file>',
      summary: 'change the body by a JSON Patch (RFC 6902)',
      exclusive: ['merge'],
      ...change,
    }),
    merge: Flags.string({ helpValue: '<JSON|@file>', summary: 'change the body by a JSON Merge Patch (RFC 7386)', ...change }),
    'set-header': Flags.string({ multiple: true, multipleNonGreedy: true, helpValue: '<name=value>', summary: 'set a header', ...change }),
    'unset-header': Flags.string({ multiple: true, multipleNonGreedy: true, helpValue: '<name>', summary: 'remove a header', ...change }),
    validate: Flags.boolean({ default: true, allowNo: true, summary: 'check the body against the schema of its type', ...change }),
    to: Flags.string({ helpValue: '<queue>', helpGroup: 'ACT', summary: 'send it there instead' }),
    replay: Flags.boolean({
      default: true,
      allowNo: true,
      helpGroup: 'ACT',
      summary: 'send it; --no-replay puts it back into the error queue',
    }),
    'dry-run': Flags.boolean({ helpGroup: 'ACT', summary: 'show what would change, and whether the target exists; change nothing' }),
    'max-hold': maxHoldFlag,
  }

  #session: EditSession<Attempt> | undefined

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(ErrorsEdit)
    if (!flags.replay && flags.to !== undefined)
      throw new NsbError({
        code: 'NSB_BAD_ARGUMENTS',
        message: '--no-replay puts the message back into the error queue, and --to sends it elsewhere.',
        suggestions: ['Leave one of them out'],
      })
    const byFlags = [...bodySources, 'set-header', 'unset-header'].some((name) => flags[name as keyof typeof flags] !== undefined)
    if (!byFlags) this.#needTerminal()
    const newBody = await this.#newBody(flags)
    const changes = headerChanges(flags['set-header'], flags['unset-header'])
    const queue = await this.errorQueue()
    const project = await this.project()
    const transport = await this.openTransport()
    const about = { schema: 'nsb.errors.edit/1', profile: await this.profileName(), queue } as const
    const shown = await showFailed(transport, this.browseOptions(queue, { ids: [args.id] }, flags['max-hold']), args.id)
    this.noteFacts(queue, shown, flags['max-hold'])
    const { failed, message } = shown
    checkIsMessage(failed, message)
    const schema = flags.validate ? await this.#schemaOf(message) : undefined
    try {
      const accept = (headers: HeaderChanges, body: Uint8Array): Attempt => attempt(message, headers, body, schema)
      const made = byFlags
        ? accept(changes, newBody(message))
        : await this.#inEditor(shown, flags['body-only'] ? 'body' : flags['headers-only'] ? 'headers' : 'all', accept)
      if (isUnchanged(made)) {
        this.#session?.remove()
        this.out('no changes, nothing was sent')
        return { ...about, uniqueId: failed.uniqueId, result: 'unchanged' }
      }
      for (const line of changeLines(message, made, this.colour.err)) this.quote(line)
      const target = flags.replay
        ? targetOf(failed, made.edited.headers[Header.RetryTo], { to: flags.to, redirects: project.redirects })
        : queue
      if (target === undefined) throw noTarget(shown)
      const problem = flags.replay ? targetProblem(target, queue) : undefined
      if (problem !== undefined) throw problem
      const marks = { target, staysFailed: !flags.replay, messageId: newMessageId() }
      for (const warning of warningsOf(shown, made, marks)) this.warning(warning)
      await checkTarget(transport, target)
      const document = {
        ...about,
        uniqueId: failed.uniqueId,
        messageId: marks.messageId,
        target,
        changed: { headers: made.headers.changed, body: made.isBodyChanged },
      }
      if (flags['dry-run']) {
        this.note('dry run: nothing was changed')
        this.out(`${shortOf(shown)} would go to ${printableLine(target)}`)
        this.#session?.remove()
        return { ...document, messageId: undefined, dryRun: true }
      }
      await this.confirm(editQuestion(made, marks, queue), { typed: flags.to === undefined ? undefined : '1' })
      await this.forgetSnapshot(queue)
      const operation = newOperationId(Date.now())
      const journal = await this.journalled()
      const { archivedIn, leftInQueue } = await sendEdited(transport, {
        ...marks,
        operation,
        queue,
        original: shown,
        edited: made.edited,
        overrule: this.overrule,
        maxHold: flags['max-hold'],
        signal: this.signal,
        journal,
        now: Date.now(),
        warn: (warning) => this.warning(warning),
      })
      this.#session?.remove()
      this.out(
        `edited ${shortOf(shown)}: message ${marks.messageId} ${flags.replay ? 'sent to' : 'put into'} ${printableLine(target)}, left in queue ${leftInQueue ?? '?'}, operation ${operation}`,
      )
      this.note(`the original is in ${printableLine(archivedIn)}`)
      // Whether it fails again is seen in the error queue.
      this.next(flags.replay ? 'nsb errors list' : `nsb errors show ${marks.messageId}`)
      return { ...document, operation, result: 'published', leftInQueue, archivedIn }
    } catch (error) {
      throw this.#withKeptText(error)
    }
  }

  #needTerminal(): void {
    if (this.terminal.interactive) return
    throw new NsbError({
      code: 'NSB_NEEDS_INPUT',
      message: 'What is to be changed? There is no terminal to edit the message in.',
      suggestions: ['Say it with --set-header, --unset-header, --body-file, --patch or --merge'],
    })
  }

  /** The body that the flags make of a message; what they say is read and checked before any message is looked at. */
  async #newBody(
    flags: { readonly [source in (typeof bodySources)[number]]?: string | undefined },
  ): Promise<(message: HeldMessage) => Uint8Array> {
    if (flags['body-file'] !== undefined) {
      const bytes = await bytesOfFile(flags['body-file'])
      return () => bytes
    }
    const patch =
      flags.patch !== undefined
        ? bodyPatch(await textOrFile(flags.patch))
        : flags.merge === undefined
          ? undefined
          : bodyMerge(await textOrFile(flags.merge))
    return ({ body, headers }) => patch?.(body, headers) ?? body
  }

  async #inEditor(
    { failed, message }: Shown,
    part: 'all' | 'body' | 'headers',
    accept: (changes: HeaderChanges, body: Uint8Array) => Attempt,
  ): Promise<Attempt> {
    this.#session = EditSession.begin<Attempt>(message, {
      part,
      editor: editorOf(process.env),
      notes: [
        `Message ${failed.messageId} of '${message.queue}', type ${failed.type ?? 'unknown'}`,
        `failed: ${failed.exceptionMessage ?? '?'}`,
      ],
      signal: this.signal,
      again: async (problem) => {
        this.note(`${this.colour.err.failure(`Error ${problem.code}:`)} ${printable(problem.message)}`)
        return (await this.ask({ message: 'Edit again?', kind: 'confirm', default: true }, '--set-header, --body-file')) === true
      },
    })
    return this.#session.run(accept)
  }

  /** undefined: none is known, or it cannot be loaded, which keeps nobody from correcting a message. */
  async #schemaOf(message: HeldMessage): Promise<MessageDefinition | undefined> {
    try {
      const known = await schemaOf(await this.project(), message.headers)
      if (known !== undefined) this.atEnd(() => known.dispose())
      return known?.definition
    } catch (error) {
      this.warning(`the body is not checked against the schema of its type: ${errorText(error)}`)
      return undefined
    }
  }

  /** Whatever went wrong, what a person has written is not lost. */
  #withKeptText(error: unknown): unknown {
    const path = this.#session?.keep()
    if (path === undefined) return error
    if (!(error instanceof NsbError)) {
      this.warning(`the edited text is in ${path}`)
      return error
    }
    const { cause, code, details, message, suggestions } = error
    return new NsbError({
      code,
      message,
      suggestions: [...suggestions, `The edited text is in ${path}`],
      details: { ...details, editedText: path },
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

/** A target comes from a message, so it may be anything. @throws what {@link whyNoQueue} gives */
async function checkTarget(transport: Transport, target: string): Promise<void> {
  const facts = await transport.inspect(target).catch(() => undefined)
  const problem = facts === undefined ? await whyNoQueue(transport, target) : undefined
  if (problem !== undefined) throw problem
}

const shortOf = ({ failed }: Shown): string => printableLine(shortId(failed.uniqueId))

function noTarget({ failed }: Shown): NsbError {
  return new NsbError({
    code: 'NSB_NO_TARGET',
    message: 'The message does not say where it failed.',
    suggestions: [`Name a queue: nsb errors edit ${pastedId(failed.uniqueId)} --to <queue>`, 'or put it back: --no-replay'],
  })
}
