// Pages of a stream that miss nothing that was stored before they were asked for.
//
// In a cluster a direct get is answered by any node that has the stream, and of an acknowledged write it may not know yet: on three nodes 12 to 30 % of reads
// right after a write missed it, by up to 80 ms (nats-server 2.15.1). So what ends a page is the leader's word that nothing follows.
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { transient } from './fault.ts'

/** Status of an empty batch (JetStreamStatusError of client 3.4.0). */
const NO_SUCH_MESSAGE = 404

/** Up to `size` messages from a sequence on, oldest first; fewer only where there are no more. Transient Fault NATS_UNAVAILABLE. */
export async function pageOf (jsm: JetStreamManager, stream: string, { from, filter = '>', size }: { from: number, filter?: string, size: number }): Promise<StoredMsg[]> {
  const found: StoredMsg[] = []
  try {
    for (;;) {
      const seq = (found.at(-1)?.seq ?? from - 1) + 1
      found.push(...await nearest(seq, size - found.length))
      if (found.length >= size) return found
      const next = await nextOf(jsm, stream, (found.at(-1)?.seq ?? from - 1) + 1, filter)
      if (!next) return found
      found.push(next)
      if (found.length >= size) return found
    }
  } catch (error) {
    throw transient('NATS_UNAVAILABLE', `${stream} could not be read`, { cause: error })
  }

  /** As some node knows it. */
  async function nearest (seq: number, batch: number): Promise<StoredMsg[]> {
    const some: StoredMsg[] = []
    try {
      for await (const message of await jsm.direct.getBatch(stream, { seq, batch, next_by_subj: filter })) some.push(message)
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw error
    }
    return some
  }
}

/** The same beyond one page, until there are no more or at least `max` are read; `isWhole`: there are no more. */
export async function pagesOf (jsm: JetStreamManager, stream: string, { from, filter = '>', size, max }: { from: number, filter?: string, size: number, max: number }): Promise<{ messages: StoredMsg[], isWhole: boolean }> {
  const messages: StoredMsg[] = []
  for (let next = from; messages.length < max;) {
    const page = await pageOf(jsm, stream, { from: next, filter, size })
    messages.push(...page)
    if (page.length < size) return { messages, isWhole: true }
    next = (page.at(-1)?.seq ?? 0) + 1
  }
  return { messages, isWhole: false }
}

/** The first message from a sequence on, by the leader's word. The server takes such a question where the client's type does not (3.4.0). */
export async function nextOf (jsm: JetStreamManager, stream: string, seq: number, filter: string): Promise<StoredMsg | null> {
  return await jsm.streams.getMessage(stream, { seq, next_by_subj: filter } as { seq: number })
}
