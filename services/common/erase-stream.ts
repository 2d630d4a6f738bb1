// Erases single messages of a stream, so that their bytes are gone from the disk and not only from the index. Measured on nats-server 2.15.1:
// deleting a message with `erase` overwrites subject, headers and body at once, in every block, before the answer. A message that goes by a
// limit, by a purge or by a newer value of its key leaves its bytes in the block until the server happens to rewrite that.
import type { StoredMsg } from '@nats-io/jetstream'
import { transient } from './fault.ts'
import type { Bus } from './bus.ts'
import { pageOf } from './page.ts'

export interface WhatToErase {
  readonly stream: string
  /** A subject, with wildcards or not. */
  readonly filter: string
  /** Only messages before this sequence. */
  readonly before?: number
  /** Only messages that were stored before this time; the oldest come first. */
  readonly storedBefore?: Date
  /** Of those under the filter only these. */
  readonly matches?: (subject: string, message: StoredMsg) => boolean
}

const BATCH = 200
/** No call goes on for ever: the rest is for the next one. */
const ERASED_MAX = 5_000
/** What nats-server 2.15.1 says of a message that is gone already. */
const DELETE_FAILED = 10057
const GONE = 'no message found'

/** Answers how many messages were erased. Doing it again erases what is left. Transient Faults NATS_UNAVAILABLE, and ERASURE_UNFINISHED where too much was found at once. */
export async function eraseMessages (bus: Pick<Bus, 'raw'>, { stream, filter, before = Infinity, storedBefore, matches = () => true }: WhatToErase): Promise<number> {
  let erased = 0
  for (let next = 1; ;) {
    const found = await pageOf(bus.raw.jsm, stream, { from: next, filter, size: BATCH })
    for (const message of found) {
      const { seq: sequence, subject, time: storedAt } = message
      if (storedBefore && storedAt >= storedBefore) return erased
      if (sequence >= before || !matches(subject, message)) continue
      if (erased >= ERASED_MAX) throw transient('ERASURE_UNFINISHED', `more than ${ERASED_MAX} messages of ${stream} are to be erased`)
      await eraseMessage(bus, stream, sequence)
      erased++
    }
    const last = found.at(-1)
    if (!last || found.length < BATCH || last.seq >= before) return erased
    next = last.seq + 1
  }
}

/** False: it was gone already. Transient Fault NATS_UNAVAILABLE. */
export async function eraseMessage ({ raw: { jsm } }: Pick<Bus, 'raw'>, stream: string, sequence: number): Promise<boolean> {
  try {
    return await jsm.streams.deleteMessage(stream, sequence, true)
  } catch (error) {
    // Another replica, or the limits of the stream, were first.
    const { code, message } = error as { code?: unknown, message?: unknown }
    if (code === DELETE_FAILED && message === GONE) return false
    throw transient('NATS_UNAVAILABLE', `a message of ${stream} could not be erased`, { cause: error })
  }
}
