// Erases single messages of a stream, so that their bytes are gone from the disk and not only from the index. Measured on nats-server 2.15.1:
// deleting a message with `erase` overwrites subject, headers and body at once, in every block, before the answer. A message that goes by a
// limit, by a purge or by a newer value of its key leaves its bytes in the block until the server happens to rewrite that.
import { transient } from './fault.ts'
import type { Bus } from './bus.ts'

export interface WhatToErase {
  readonly stream: string
  /** A subject, with wildcards or not. */
  readonly filter: string
  /** Only messages before this sequence. */
  readonly before?: number
  /** Only messages that were stored before this time; the oldest come first. */
  readonly storedBefore?: Date
  /** Of those under the filter only these. */
  readonly matches?: (subject: string) => boolean
}

interface Found { readonly sequence: number, readonly subject: string, readonly storedAt: Date }

const BATCH = 200
/** No call goes on for ever: the rest is for the next one. */
const ERASED_MAX = 5_000
/** Status of an empty batch (JetStreamStatusError of client 3.4.0). */
const NO_SUCH_MESSAGE = 404
/** What nats-server 2.15.1 says of a message that is gone already. */
const DELETE_FAILED = 10057
const GONE = 'no message found'

/** Answers how many messages were erased. Doing it again erases what is left. Transient Faults NATS_UNAVAILABLE, and ERASURE_UNFINISHED where too much was found at once. */
export async function eraseMessages ({ raw: { jsm } }: Pick<Bus, 'raw'>, { stream, filter, before = Infinity, storedBefore, matches = () => true }: WhatToErase): Promise<number> {
  let erased = 0
  for (let next = 1; ;) {
    const found = await page(next)
    for (const { sequence, subject, storedAt } of found) {
      if (storedBefore && storedAt >= storedBefore) return erased
      if (sequence >= before || !matches(subject)) continue
      if (erased >= ERASED_MAX) throw transient('ERASURE_UNFINISHED', `more than ${ERASED_MAX} messages of ${stream} are to be erased`)
      await erase(sequence)
      erased++
    }
    const last = found.at(-1)
    if (!last || found.length < BATCH || last.sequence >= before) return erased
    next = last.sequence + 1
  }

  async function page (from: number): Promise<Found[]> {
    const found: Found[] = []
    try {
      for await (const { seq, subject, time } of await jsm.direct.getBatch(stream, { seq: from, batch: BATCH, next_by_subj: filter })) found.push({ sequence: seq, subject, storedAt: time })
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw transient('NATS_UNAVAILABLE', `messages of ${stream} could not be looked for`, { cause: error })
    }
    return found
  }

  async function erase (sequence: number): Promise<void> {
    try {
      await jsm.streams.deleteMessage(stream, sequence, true)
    } catch (error) {
      // Another replica, or the limits of the stream, were first.
      const { code, message } = error as { code?: unknown, message?: unknown }
      if (code !== DELETE_FAILED || message !== GONE) throw transient('NATS_UNAVAILABLE', `a message of ${stream} could not be erased`, { cause: error })
    }
  }
}
