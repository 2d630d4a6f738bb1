// The CLAIMS stream as a ledger: replayed into a projection, appended to with the expected sequence of the member's subjects.
import type { ConsumerMessages } from '@nats-io/jetstream'
import { DeliverPolicy } from '@nats-io/jetstream'
import type { Bus } from '../common/bus.ts'
import { decodeEvent, eventId } from '../common/envelope.ts'
import { codeOf, Fault, permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { decide, evolve, type Claim, type Command, type Decision } from './claim.ts'
import { Projection, type LedgerRecord, type MemberState } from './projection.ts'
import { LEDGER_EVENTS, read, written } from './record.ts'

const STREAM = 'CLAIMS'
const TRIES_MAX = 8
const CATCH_UP_MS_MAX = 60_000
const HISTORY_MAX = 10_000
/** Status of an empty batch (JetStreamStatusError of client 3.4.0). */
const NO_SUCH_MESSAGE = 404

export interface Ledger {
  readonly projection: Projection
  /** Everything up to this sequence is in the projection. */
  sequence (): number
  /** Decides and commits. Rejections are values; a transient Fault means that nothing is known to have happened, and asking again is safe. */
  execute (memberId: string, command: Command, context: { causation?: string | undefined }): Promise<{ decision: Decision, claim: Claim }>
  /** Resolves when the projection holds everything that the stream held when this was called. */
  caughtUp (): Promise<void>
  close (): Promise<void>
}

/**
 * Replays what came after `from`, which the projection holds already. `reflected` is what the book once reflected: a stream that holds less was lost.
 * Resolves when the projection has caught up.
 */
export async function openLedger (options: { bus: Bus, log: Log, projection: Projection, from: number, reflected: number, now: () => Date }): Promise<Ledger> {
  const { bus, log, projection, now } = options
  const { js, jsm } = bus.raw
  let sequence = options.from
  let messages: ConsumerMessages | undefined
  let closing = false
  /** False during the replay, when members behind their summary are collected rather than read one by one. */
  let live = false
  const waiting = new Set<{ target: number, resolve: () => void }>()
  /** One decision at a time per member, so that this process never races itself. */
  const queues = new Map<string, Promise<unknown>>()

  const { state } = await jsm.streams.info(STREAM)
  if (state.last_seq < options.reflected) {
    throw permanent('LEDGER_BEHIND_BOOK', `the book reflects ${options.reflected} events, the stream holds ${state.last_seq}: the stream was lost or restored; see RUNBOOK.md`)
  }

  async function replay (): Promise<void> {
    while (!closing) {
      try {
        const consumer = await js.consumers.get(STREAM, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: sequence + 1 })
        messages = await consumer.consume({ max_messages: 1_000 })
        if (closing) await messages.close()
        for await (const message of messages) take(message.seq, message.subject, message)
      } catch (error) {
        log.warn({ code: codeOf(error), err: error }, 'ledger replay is interrupted')
      }
      if (!closing) await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }

  function take (at: number, subject: string, message: Parameters<typeof decodeEvent>[1]): void {
    const record = recordOf(at, { subject, headers: message.headers, data: message.data })
    if (record) {
      projection.apply(record)
      if (live && projection.stale.has(record.data.member_id)) refresh(record.data.member_id).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'a member could not be read anew yet') })
    }
    sequence = Math.max(sequence, at)
    for (const waiter of waiting) if (sequence >= waiter.target) waiter.resolve()
  }

  /** What is no event of ours cannot have been decided by us: it is named loudly and passed over. */
  function recordOf (at: number, message: Parameters<typeof decodeEvent>[1]): LedgerRecord | undefined {
    try {
      const decoded = decodeEvent(LEDGER_EVENTS, message)
      if (!decoded) return undefined
      const { id, type, time, data } = decoded.event
      return { id, type, time, sequence: at, data: data as LedgerRecord['data'] }
    } catch (error) {
      log.error({ sequence: at, code: codeOf(error) }, 'the ledger holds a message that is no decision')
      return undefined
    }
  }

  async function reach (target: number): Promise<void> {
    if (sequence >= target) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { waiting.delete(waiter); reject(transient('LEDGER_BEHIND', 'the ledger is still being read')) }, CATCH_UP_MS_MAX)
      const waiter = { target, resolve: () => { clearTimeout(timer); waiting.delete(waiter); resolve() } }
      waiting.add(waiter)
    })
  }

  /** The member's whole history, straight from the stream. */
  async function refresh (memberId: string): Promise<MemberState> {
    const records: LedgerRecord[] = []
    try {
      let next = 1
      for (;;) {
        let found = 0
        const batch = await jsm.direct.getBatch(STREAM, { seq: next, batch: 200, next_by_subj: `claims.${memberId}.*` })
        for await (const message of batch) {
          found++
          next = message.seq + 1
          const record = recordOf(message.seq, { subject: message.subject, headers: message.header, data: message.data })
          if (record) records.push(record)
        }
        if (found < 200 || records.length >= HISTORY_MAX) break
      }
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw transient('NATS_UNAVAILABLE', 'a history could not be read', { cause: error })
    }
    const state = projection.rebuild(memberId, records)
    if (state.sequence === 0 && projection.newestOf(memberId)) throw permanent('LEDGER_HISTORY_MISSING', 'the book knows a claim whose history the stream does not hold; see RUNBOOK.md')
    return state
  }

  async function attempt (memberId: string, command: Command, causation: string | undefined): Promise<{ decision: Decision, claim: Claim }> {
    let state = projection.member(memberId) ?? await refresh(memberId)
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const decision = decide(state.claim, command)
      if (!decision.ok || !decision.happens) return { decision, claim: state.claim }
      const { definition, key, data } = written(state.claim, decision.happens)
      const time = now()
      const claim = evolve(state.claim, read(definition.type, data, time))
      const id = eventId(definition, key)
      try {
        const result = await bus.append(definition, { key, data: data as never, time, correlation: data['claim_id'] as string | undefined, causation }, `claims.${memberId}.*`, state.sequence)
        // An id that was stored before, and whose message was erased since, is answered as if it had been stored now.
        if (result.kind === 'stored' && result.sequence > state.sequence) {
          projection.apply({ id, type: definition.type, time, sequence: result.sequence, data: data as LedgerRecord['data'] })
          return { decision, claim }
        }
      } catch (error) {
        // The write may have happened and its acknowledgement be lost: only the stream knows.
        if (!(error instanceof Fault) || error.code !== 'NATS_UNAVAILABLE') throw error
      }
      state = await refresh(memberId)
      if (state.lastEventId === id) return { decision, claim: state.claim }
    }
    throw transient('LEDGER_CONTENDED', 'other decisions for this member came first every time')
  }

  const replaying = replay()
  await reach(state.last_seq)
  live = true
  for (const memberId of projection.stale) await refresh(memberId)

  return {
    projection,
    sequence: () => sequence,
    execute: async (memberId, command, { causation }) => {
      const before = queues.get(memberId) ?? Promise.resolve()
      const mine = before.catch(() => {}).then(async () => await attempt(memberId, command, causation))
      queues.set(memberId, mine)
      try {
        return await mine
      } finally {
        if (queues.get(memberId) === mine) queues.delete(memberId)
      }
    },
    caughtUp: async () => { await reach((await jsm.streams.info(STREAM)).state.last_seq) },
    close: async () => {
      closing = true
      await messages?.close()
      await replaying
    },
  }
}
