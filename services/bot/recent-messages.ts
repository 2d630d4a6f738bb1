// What was sent lately, in memory only, for recipients who could not read it and ask again. A miss is an answer: an invented empty message
// would use up the recipient's retry. Looked up by id alone: the retry may come from the LID of someone who was written to by number.

export interface RecentMessages<Message> {
  remember (id: string, message: Message): void
  recall (id: string): Message | undefined
  clear (): void
}

const MESSAGES_MAX = 500

export function createRecentMessages<Message> (ttlMs: number): RecentMessages<Message> {
  const messages = new Map<string, { message: Message, timer: NodeJS.Timeout }>()
  const forget = (id: string): void => {
    clearTimeout(messages.get(id)?.timer)
    messages.delete(id)
  }
  return {
    remember: (id, message) => {
      forget(id)
      // A timer rather than a check when asked: a password must not wait in memory for somebody to look.
      messages.set(id, { message, timer: setTimeout(forget, ttlMs, id).unref() })
      if (messages.size > MESSAGES_MAX) forget(messages.keys().next().value as string)
    },
    recall: (id) => messages.get(id)?.message,
    clear: () => { for (const id of messages.keys()) forget(id) },
  }
}
