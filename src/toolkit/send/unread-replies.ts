import type { Transport } from '../../transport/transport.ts'

/** A handler that replies must not fail because the person who tries it out did not ask for the reply. */
export const unreadReplies = 'nsb.reply.unread'

const dayMs = 24 * 3_600_000
/** A send stays quick, however much has piled up. */
const mostAtOnce = 500

/** Makes the queue for replies that nobody awaits, and removes what has been in it for a day where looking costs nothing. */
export async function openUnreadReplies(transport: Transport, now: number): Promise<void> {
  await transport.createBoundedQueue(unreadReplies, { messagesExpireAfterMs: dayMs, mostMessages: 10_000 })
  if (!transport.can.lookWithoutTrace || ((await transport.inspect(unreadReplies))?.depth ?? 0) === 0) return
  const holding = await transport.hold(unreadReplies, {
    purpose: 'change',
    overrule: [],
    page: 100,
    max: mostAtOnce,
    signal: new AbortController().signal,
    beforeRemove: () => undefined,
  })
  try {
    for await (const page of holding.pages()) {
      const old = page.filter(({ enqueuedAt }) => enqueuedAt < now - dayMs)
      for (const message of old) await holding.consume(message, [])
      if (old.length < page.length) return
    }
  } catch {
    // Another send removes the same ones. What stays is removed by a later one.
  } finally {
    await holding.giveBack()
  }
}
