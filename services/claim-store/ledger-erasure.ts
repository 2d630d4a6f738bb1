// Takes out of the streams what the ledger has decided to forget, and decides it for those whose time is over.
//
//   decided ──▶ `claims.<member_id>.erased` (the commit) ──▶ projection and book forget ──▶ older messages are overwritten ──▶ 30 days ──▶ the event itself
//
// Dying anywhere on the way is made up for: the event comes again until it is acknowledged, and erasing twice erases what is left.
import type { Static } from 'typebox'
import { claimErased } from '../../contracts/events/claims.ts'
import { eraseMember } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { on, type Handler } from '../common/consume.ts'
import { decodeEvent } from '../common/envelope.ts'
import { eraseMessages } from '../common/erase-stream.ts'
import { codeOf, Fault, permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Book } from './book.ts'
import type { Ledger } from './ledger.ts'
import type { Mac } from './mac.ts'
import { retired } from './retention.ts'

export interface Erasure {
  readonly handlers: readonly Handler[]
  /** One round of what has to be done from time to time, until `signal` says to stop. Safe to run in several processes at once. */
  sweep (signal: AbortSignal): Promise<void>
}

export interface ErasureOptions {
  readonly bus: Bus
  readonly ledger: Ledger
  readonly mac: Mac
  readonly book: Pick<Book, 'flush' | 'tidy'>
  /** How long after the end of their last claim a former member is kept. */
  readonly retentionMs: number
  /** How long the word that somebody was erased is kept. */
  readonly wordKeptMs: number
  readonly now: () => Date
  readonly log: Log
}

const STREAM = 'CLAIMS'
/** In one sweep; the next goes on. */
const MEMBERS_MAX = 200
const WORDS_MAX = 200
/** Whoever asked for it is answered, and what came of it said, within this. */
const ANSWER_MS_MAX = 15_000
/** Status of an empty batch (JetStreamStatusError of client 3.4.0). */
const NO_SUCH_MESSAGE = 404

/** By whom and why it was asked stays as long as the word of the ledger itself. */
function isAboutErasure (data: Uint8Array): boolean {
  try {
    return (JSON.parse(new TextDecoder().decode(data)) as { operation?: unknown }).operation === eraseMember.name
  } catch {
    return false
  }
}

type Erased = Static<typeof claimErased.data>
/** Where the word of an erasure stands. What is about the member's next claim comes later, and stays. */
interface Place { readonly sequence: number, readonly storedAt: Date }

export function createErasure ({ bus, ledger, mac, book, retentionMs, wordKeptMs, now, log }: ErasureOptions): Erasure {
  /** `isLast`: 30 days later, when the words by which it was asked go as well. */
  async function forget ({ member_id: memberId, claims }: Erased, { sequence, storedAt }: Place, isLast = false): Promise<void> {
    // The book goes first: once the history is gone, a book that still knows the member has nothing to learn the end of it from but this event.
    await ledger.caughtUp()
    await book.flush().catch((error: unknown) => { throw transient('BOOK_UNWRITTEN', 'the book could not be written before a member is erased', { cause: error }) })
    const events = await eraseMessages(bus, { stream: STREAM, filter: `claims.${memberId}.*`, before: sequence })
    const ids = [memberId, ...claims.map(({ claim_id: claimId }) => claimId)]
    const letters = await eraseMessages(bus, { stream: 'DEAD_LETTERS', filter: 'dead.>', matches: (subject) => ids.some((id) => subject.includes(id)) && subject !== `dead.claims.${memberId}.erased` })
    const words = await eraseMessages(bus, { stream: 'OPERATIONS', filter: `operations.*.${memberId}`, storedBefore: new Date(storedAt.getTime() + ANSWER_MS_MAX), matches: (_, { data }) => isLast || !isAboutErasure(data) })
    log.info({ decision: 'member.forgotten', member_id: memberId, events, letters, words }, 'a former member is erased from the ledger')
  }

  async function retire (signal: AbortSignal): Promise<void> {
    for (const { member_id: memberId, claim_id: claimId } of retired(ledger.projection, now(), retentionMs, MEMBERS_MAX)) {
      if (signal.aborted) return
      try {
        await ledger.execute(memberId, { type: 'Erase', reason: 'retention', claimId }, {})
      } catch (error) {
        if (!(error instanceof Fault && error.kind === 'permanent')) throw error
        log.error({ member_id: memberId, claim_id: claimId, code: codeOf(error), err: error }, 'a former member whose time is over could not be erased')
      }
    }
  }

  /** Erases the words that are old enough, and what may be left of what they were about. */
  async function clear (signal: AbortSignal): Promise<void> {
    const { state } = await bus.raw.jsm.streams.info(STREAM)
    for (const { data, ...place } of await oldWords()) {
      const { sequence } = place
      if (signal.aborted) return
      // Whoever reads the ledger waits for the newest message it has: that one has to be there.
      if (sequence >= state.last_seq) continue
      await forget(data, place, true)
      await eraseMessages(bus, { stream: STREAM, filter: `claims.${data.member_id}.erased`, before: sequence + 1 })
    }
  }

  async function oldWords (): Promise<Array<Place & { data: Erased }>> {
    const found: Array<Place & { data: Erased }> = []
    try {
      for await (const { seq, subject, header, data, time } of await bus.raw.jsm.direct.getBatch(STREAM, { seq: 1, batch: WORDS_MAX, next_by_subj: 'claims.*.erased' })) {
        const word = mac.isOurs({ subject, header, data }) ? decodeEvent([claimErased], { subject, headers: header, data }) : undefined
        if (word && now().getTime() - word.event.time.getTime() >= wordKeptMs) found.push({ sequence: seq, storedAt: time, data: word.event.data as Erased })
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw error
    }
    return found
  }

  return {
    handlers: [on(claimErased, async ({ data }, { sequence, storedAt }) => {
      // A decision is known by its signature, which an event does not carry.
      const message = await bus.raw.jsm.streams.getMessage(STREAM, { seq: sequence }).catch((error: unknown) => { throw transient('NATS_UNAVAILABLE', 'a word of the ledger could not be read', { cause: error }) })
      if (message && !mac.isOurs(message)) throw permanent('MESSAGE_INVALID', 'an erasure that no claim-store decided')
      if (message) await forget(data, { sequence, storedAt })
    })],
    sweep: async (signal) => {
      await retire(signal)
      await clear(signal)
      await book.tidy()
      log.debug('the sweep of former members is done')
    },
  }
}
