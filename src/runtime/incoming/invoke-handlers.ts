import { isAssignable } from '../../message/declaration.ts'
import { Header, parseIntent } from '../../message/headers.ts'
import { NoHandlerError, isCancellation } from '../errors.ts'
import type { RegisteredHandler } from '../handlers.ts'
import { insideHandler } from '../handling.ts'
import { HandlerContext } from '../handler-context.ts'
import type { Incoming, IncomingStep, LogicalMessage } from './incoming.ts'

/** Every handler registered for the type and its base types, in order, awaited one by one; each on an instance of its own. */
export const invokeHandlers: IncomingStep = async (incoming, next) => {
  for (const logical of incoming.logical) {
    for (const handler of handlersOf(incoming, logical)) {
      incoming.signal.throwIfAborted()
      const context = new HandlerContext(incoming)
      await invoke(incoming, logical, handler, context)
      if (context.aborted) break
    }
    logical.handled = true
  }
  await next()
}

/** @throws {NoHandlerError} there is none, and nothing else has handled the message */
function handlersOf(incoming: Incoming, logical: LogicalMessage): readonly RegisteredHandler[] {
  const { engine } = incoming
  const matching = engine.handlers.matching(
    logical.definition,
    logical.alsoAs.map(({ definition }) => definition),
  )
  if (matching.length === 0 && !logical.handled) {
    if (isLateReply(incoming) && engine.lateObjectReplies === 'discard') {
      engine.logger.info(
        `Dropped the reply '${incoming.message.id}' of type '${logical.definition.fullName}': nobody waits for it any more.`,
      )
      return []
    }
    throw new NoHandlerError(logical.definition.fullName, engine.name, [
      ...new Set(engine.handlers.all.map((handler) => `'${handler.handles.fullName}'`)),
    ])
  }
  return matching
}

async function invoke(incoming: Incoming, logical: LogicalMessage, handler: RegisteredHandler, context: HandlerContext): Promise<void> {
  const { clock } = incoming.engine
  const onHandle = incoming.engine.extensions.handle
  const startedAt = clock.now()
  incoming.handlersRun.push(handler)
  try {
    const message = instanceFor(handler, logical)
    const run = (): unknown => insideHandler(incoming.engine, () => handler.invoke(message, context))
    if (onHandle)
      await onHandle({ handler: handler.name, messageType: logical.definition.fullName, message, context }, async () => void (await run()))
    else await run()
    context.close(handler.name)
  } catch (error) {
    context.abandon()
    incoming.handlerFailure = {
      messageType: logical.definition.fullName,
      handlerType: handler.name,
      startedAt,
      failedAt: clock.now(),
      cancelled: isCancellation(error, incoming.signal),
    }
    throw error
  }
}

function instanceFor({ handles }: RegisteredHandler, { alsoAs, definition, instance }: LogicalMessage): object {
  if (alsoAs.length === 0 || isAssignable(definition, handles)) return instance
  return alsoAs.find((also) => isAssignable(also.definition, handles))?.instance ?? instance
}

function isLateReply({ engine, headers }: Incoming): boolean {
  return engine.callbacks !== undefined && parseIntent(headers[Header.MessageIntent]) === 'Reply'
}
