// The CLAIMS stream as a ledger: replayed into a projection, appended to with the expected sequence of the member's subjects. It is read by
// direct gets, without a consumer: who may make a consumer may have its messages sent anywhere.
import type { StoredMsg } from '@nats-io/jetstream'
import { LEDGER_STREAM as STREAM } from '../../contracts/access.ts'
import type { Bus } from '../common/bus.ts'
import { decodeEvent, eventId } from '../common/envelope.ts'
import { codeOf, Fault, permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { decide, evolve, type Claim, type Command, type Decision } from './claim.ts'
import type { Mac } from './mac.ts'
import { Projection, type LedgerRecord, type MemberState } from './projection.ts'
import { LEDGER_EVENTS, read, written } from './record.ts'

const TRIES_MAX = 8
const CATCH_UP_MS_MAX = 60_000
const HISTORY_MAX = 10_000
const HISTORY_AT_ONCE = 200
const READ_AT_ONCE = 1_000
/** Word of what was stored may get lost; then it is found by looking. */
const LOOK_EVERY_MS = 1_000
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
export async function openLedger (options: { bus: Bus, log: Log, projection: Projection, mac: Mac, from: number, reflected: number, now: () => Date }): Promise<Ledger> {
  const { bus, log, projection, mac, now } = options
  const { connection, jsm } = bus.raw
  let sequence = options.from
  let closing = false
  let wake = (): void => {}
  /** False during the replay, when members behind their summary are collected rather than read one by one. */
  let live = false
  const waiting = new Set<{ target: number, resolve: () => void }>()
  /** One decision at a time per member, so that this process never races itself. */
  const queues = new Map<string, Promise<unknown>>()

  const { state } = await jsm.streams.info(STREAM)
  if (state.last_seq < options.reflected) {
    throw permanent('LEDGER_BEHIND_BOOK', `the book reflects ${options.reflected} events, the stream holds ${state.last_seq}: the stream was lost or restored; see RUNBOOK.md`)
  }

  const announced = connection.subscribe(`stored.${STREAM.toLowerCase()}.*.*`, { callback: () => { wake() } })

  async function replay (): Promise<void> {
    while (!closing) {
      const told = new Promise<void>((resolve) => { wake = resolve })
      // What is not found by a reading that began after it was known to be there is there no more: it was erased.
      const goal = Math.max(0, ...[...waiting].map(({ target }) => target))
      try {
        if (await readOn() === READ_AT_ONCE) continue
        reached(goal)
      } catch (error) {
        log.warn({ code: codeOf(error), err: error }, 'ledger replay is interrupted')
      }
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, LOOK_EVERY_MS) })
      await Promise.race([told, late])
      clearTimeout(timer)
    }
  }

  /** Takes what comes after `sequence`; answers how many messages that were. */
  async function readOn (): Promise<number> {
    let found = 0
    for await (const message of batch({ seq: sequence + 1, batch: READ_AT_ONCE })) {
      found++
      take(message)
    }
    return found
  }

  /** Empty where there is nothing to read. */
  async function * batch (from: { seq: number, batch: number, next_by_subj?: string }): AsyncIterable<StoredMsg> {
    try {
      yield * await jsm.direct.getBatch(STREAM, from)
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_SUCH_MESSAGE) throw transient('NATS_UNAVAILABLE', 'the ledger could not be read', { cause: error })
    }
  }

  function take (message: StoredMsg): void {
    const record = recordOf(message)
    if (record) {
      projection.apply(record)
      if (live && projection.stale.has(record.data.member_id)) refresh(record.data.member_id).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'a member could not be read anew yet') })
    }
    reached(message.seq)
  }

  function reached (at: number): void {
    sequence = Math.max(sequence, at)
    for (const waiter of waiting) if (sequence >= waiter.target) waiter.resolve()
  }

  /** What is no event of ours cannot have been decided by us: it is named loudly and passed over. */
  function recordOf ({ seq, subject, header, data }: StoredMsg): LedgerRecord | undefined {
    try {
      if (!mac.isOurs({ subject, header, data })) throw permanent('MESSAGE_INVALID', 'not signed by a claim-store')
      const decoded = decodeEvent(LEDGER_EVENTS, { subject, headers: header, data })
      if (!decoded) return undefined
      const { id, type, time } = decoded.event
      return { id, type, time, sequence: seq, data: decoded.event.data as LedgerRecord['data'] }
    } catch (error) {
      log.error({ sequence: seq, code: codeOf(error) }, 'the ledger holds a message that is no decision')
      return undefined
    }
  }

  async function reach (target: number): Promise<void> {
    if (sequence >= target) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => { waiting.delete(waiter); reject(transient('LEDGER_BEHIND', 'the ledger is still being read')) }, CATCH_UP_MS_MAX)
      const waiter = { target, resolve: () => { clearTimeout(timer); waiting.delete(waiter); resolve() } }
      waiting.add(waiter)
      wake()
    })
  }

  /** The member's whole history, straight from the stream. */
  async function refresh (memberId: string): Promise<MemberState> {
    const records: LedgerRecord[] = []
    let newest = 0
    for (let found = HISTORY_AT_ONCE; found === HISTORY_AT_ONCE && records.length < HISTORY_MAX;) {
      found = 0
      for await (const message of batch({ seq: newest + 1, batch: HISTORY_AT_ONCE, next_by_subj: `claims.${memberId}.*` })) {
        found++
        newest = message.seq
        const record = recordOf(message)
        if (record) records.push(record)
      }
    }
    const state = projection.rebuild(memberId, records, newest)
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
        const result = await bus.append(definition, { key, data: data as never, time, correlation: data['claim_id'] as string | undefined, causation, sign: mac.sign }, `claims.${memberId}.*`, state.sequence)
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
      announced.unsubscribe()
      wake()
      await replaying
    },
  }
}
