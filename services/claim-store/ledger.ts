// The CLAIMS stream as a ledger: replayed into a projection, appended to with the expected sequence of the member's subjects. It is read page
// by page, without a consumer: who may make a consumer may have its messages sent anywhere.
import { setTimeout as delay } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { LEDGER_STREAM as STREAM } from '../../contracts/access.ts'
import type { Bus } from '../common/bus.ts'
import { eventId } from '../common/envelope.ts'
import { logEvent } from '../common/event-line.ts'
import { codeOf, permanent, transient } from '../common/fault.ts'
import { pageAs, type StoredMessage } from '../common/page.ts'
import { isAway, patiently } from '../common/patience.ts'
import type { Log } from '../common/log.ts'
import { decide, evolve, type Claim, type ClaimEvent, type Command, type Decision } from './claim.ts'
import { recordIn } from './ledger-record.ts'
import type { Mac } from './mac.ts'
import { Projection, type LedgerRecord, type MemberState } from './projection.ts'
import { read, written } from './record.ts'

const TRIES_MAX = 8
/** A cluster of NATS chooses a new leader within some 4 to 9 s. Less than whoever asks waits for an answer. */
const PATIENCE_MS = 10_000
const AGAIN_EVERY_MS = 200
/** NATS answers in milliseconds; what takes longer went to a node that is gone. */
const ANSWER_MS_MAX = 2_000
const CATCH_UP_MS_MAX = 60_000
const HISTORY_MAX = 10_000
const HISTORY_AT_ONCE = 200
const READ_AT_ONCE = 4_000
/** Where on the stream that is which the server says it has stored. */
const STORED_AT = 'Nats-Sequence'
/** Word of what was stored may get lost; then it is found by looking. */
const LOOK_EVERY_MS = 1_000

export interface Ledger {
  readonly projection: Projection
  /** Everything up to this sequence is in the projection. */
  sequence (): number
  /** Decides and commits. Rejections are values; a transient Fault means that nothing is known to have happened, and asking again is safe. */
  execute (memberId: string, command: Command, context: { causation?: string | undefined }): Promise<{ decision: Decision, claim: Claim }>
  /** What `execute` would decide now. Nothing happens. */
  consider (memberId: string, command: Command): Promise<{ decision: Decision, claim: Claim }>
  /** Resolves when the projection holds everything that the stream held when this was called. */
  caughtUp (): Promise<void>
  close (): Promise<void>
}

export interface LedgerOptions {
  readonly bus: Bus
  readonly log: Log
  readonly projection: Projection
  readonly mac: Mac
  /** What came after it is replayed; the projection holds the rest already. */
  readonly from: number
  /** What the book once reflected: a stream that holds less was lost. */
  readonly reflected: number
  readonly now: () => Date
  /** Told of each decision that this process wrote, once, and of no other: of none that is replayed or that another claim-store wrote. `claim` is the state before it, `at` epoch ms. */
  readonly onDecided?: (claim: Claim, event: ClaimEvent, at: number) => void
}

/** A page that is on its way. While it is its turn, what comes of it is taken in at once; `early` is what came before. */
interface Ahead { readonly from: number, readonly page: Promise<ReadonlyArray<Pick<Found, 'seq'>>>, early: Found[], isTurn: boolean, beyond: Ahead | undefined }
/** A message of the ledger's stream; without a record it is no event of ours. */
interface Found { readonly seq: number, readonly record: LedgerRecord | undefined }

/** Resolves when the projection has caught up. */
export async function openLedger (options: LedgerOptions): Promise<Ledger> {
  const { bus, log, projection, mac, now, onDecided = () => {} } = options
  const { connection } = bus.raw
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_MS_MAX })
  let sequence = options.from
  let closing = false
  let wake = (): void => {}
  /** False during the replay, when members behind their summary are collected rather than read one by one. */
  let live = false
  const waiting = new Set<{ target: number, resolve: () => void }>()
  /** One decision at a time per member, so that this process never races itself. */
  const queues = new Map<string, Promise<unknown>>()

  async function newestSequence (): Promise<number> {
    try {
      return (await jsm.streams.info(STREAM)).state.last_seq
    } catch (error) {
      throw transient('NATS_UNAVAILABLE', 'the ledger does not say how long it is', { cause: error })
    }
  }

  /** A cluster without a leader answers again in a moment; a service that starts just then waits, as it does for NATS itself. */
  async function newestAtLast (): Promise<number> {
    for (;;) {
      try {
        return await newestSequence()
      } catch (error) {
        if (connection.isClosed()) throw error
        log.warn({ code: codeOf(error) }, 'waiting for the ledger')
        await delay(LOOK_EVERY_MS)
      }
    }
  }

  const newest = await newestAtLast()
  if (newest < options.reflected) {
    throw permanent('LEDGER_BEHIND_BOOK', `the book reflects ${options.reflected} events, the stream holds ${newest}: the stream was lost or restored; see RUNBOOK.md`)
  }

  /** Word of what this process has stored comes before the acknowledgement of it, after which there is nothing to be read. */
  async function heard (memberId: string | undefined, at: number): Promise<void> {
    await queues.get(memberId ?? '')?.catch(() => {})
    if (!(at <= sequence)) wake()
  }

  const announced = connection.subscribe(`stored.${STREAM.toLowerCase()}.*.*`, {
    callback: (_error, { subject, headers }) => { void heard(subject.split('.')[2], Number(headers?.get(STORED_AT))) },
  })

  async function replay (): Promise<void> {
    let ahead: Ahead | undefined
    while (!closing) {
      const told = new Promise<void>((resolve) => { wake = resolve })
      // What is not found by a reading that began after it was known to be there is there no more: it was erased.
      const goal = Math.max(0, ...[...waiting].map(({ target }) => target))
      try {
        const asked = ahead
        ahead = await readOn(asked)
        // A page that was asked for before the goal was known says nothing about it.
        if (ahead || asked) continue
        reached(goal)
      } catch (error) {
        ahead = undefined
        log.warn({ code: codeOf(error), err: error }, 'ledger replay is interrupted')
      }
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, LOOK_EVERY_MS) })
      await Promise.race([told, late])
      clearTimeout(timer)
    }
  }

  /** Takes what comes after `sequence`. Where that was a whole page, the next one is asked for meanwhile, and is the answer. */
  async function readOn (ahead: Ahead | undefined): Promise<Ahead | undefined> {
    const asked = ahead?.from === sequence + 1 ? ahead : askFrom(sequence + 1)
    // The first of many: the second is asked for at once.
    if (!ahead && asked.from + READ_AT_ONCE <= newest) asked.beyond = askFrom(asked.from + READ_AT_ONCE)
    const found = await taken(asked)
    const last = found.at(-1)
    let next: Ahead | undefined
    if (found.length === READ_AT_ONCE && last) {
      const from = last.seq + 1
      next = asked.beyond?.from === from ? asked.beyond : askFrom(from)
      // From one page to the next to the one after: V8 would take all of them for old as soon as the first is.
      asked.beyond = undefined
      // Where nothing was erased it is known by now where the page after the next will begin, and nobody has to wait for it.
      if (from === asked.from + READ_AT_ONCE) next.beyond = askFrom(from + READ_AT_ONCE)
    }
    return next
  }

  /** Nothing waits until a page is whole: what waits grows old, and V8 copies it twice and collects it late. */
  async function taken (asked: Ahead): Ahead['page'] {
    asked.isTurn = true
    try {
      for (const each of asked.early) take(each)
      asked.early = []
      return await asked.page
    } finally {
      asked.isTurn = false
    }
  }

  function askFrom (from: number): Ahead {
    const page = pageAs(jsm, STREAM, { from, size: READ_AT_ONCE }, (message) => {
      const found = understood(message)
      if (ahead.isTurn) take(found)
      else ahead.early.push(found)
      return { seq: found.seq }
    })
    const ahead: Ahead = { from, page, early: [], isTurn: false, beyond: undefined }
    // What becomes of it is told to who waits for it.
    page.catch(() => {})
    return ahead
  }

  function take ({ seq, record }: Found): void {
    if (record) {
      projection.apply(record)
      if (live && projection.stale.has(record.data.member_id)) refresh(record.data.member_id).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'a member could not be read anew yet') })
    }
    reached(seq)
  }

  function reached (at: number): void {
    sequence = Math.max(sequence, at)
    for (const waiter of waiting) if (sequence >= waiter.target) waiter.resolve()
  }

  const understood = (message: StoredMessage): Found => ({ seq: message.seq, record: recordOf(message) })

  /** What is no event of ours cannot have been decided by us: it is named loudly and passed over. */
  function recordOf ({ seq, subject, attributes: header, data }: StoredMessage): LedgerRecord | undefined {
    try {
      return recordIn(mac, { seq, subject, header, data })
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
      const page = await pageAs(jsm, STREAM, { from: newest + 1, filter: `claims.${memberId}.*`, size: HISTORY_AT_ONCE }, understood)
      found = page.length
      for (const { seq, record } of page) {
        newest = seq
        if (record) records.push(record)
      }
    }
    const state = projection.rebuild(memberId, records, newest)
    if (state.sequence === 0 && projection.newestOf(memberId)) throw permanent('LEDGER_HISTORY_MISSING', 'the book knows a claim whose history the stream does not hold; see RUNBOOK.md')
    return state
  }

  /** The sequence of the newest message on the member's subjects, 0 where there is none, from the leader. */
  async function newestOf (memberId: string): Promise<number> {
    try {
      return (await jsm.streams.getMessage(STREAM, { last_by_subj: `claims.${memberId}.*` }))?.seq ?? 0
    } catch (error) {
      throw transient('NATS_UNAVAILABLE', 'the ledger does not say what it holds', { cause: error })
    }
  }

  async function attempt (memberId: string, command: Command, causation: string | undefined): Promise<{ decision: Decision, claim: Claim }> {
    const until = performance.now() + PATIENCE_MS
    const patience = { until, everyMs: AGAIN_EVERY_MS }
    const refreshed = async (): Promise<MemberState> => await patiently(async () => await refresh(memberId), patience)
    let state = projection.member(memberId) ?? await refreshed()
    /** A write of ours found no answer: what is found later under its id may be it. */
    let isUnheard = false
    for (let tries = 0; tries < TRIES_MAX;) {
      const decision = decide(state.claim, command)
      if (!decision.ok || !decision.happens) {
        // Nothing is written that would be refused if this were not the newest state: another claim-store may have decided a moment ago.
        if (await patiently(async () => await newestOf(memberId), patience) <= state.sequence) return { decision, claim: state.claim }
        state = await refreshed()
        tries++
        continue
      }
      const { definition, key, data } = written(state.claim, decision.happens)
      const time = now()
      const timestamp = time.toISOString()
      const claim = evolve(state.claim, read(definition.type, data, timestamp))
      const id = eventId(definition, key)
      const since = sinceAsked(state.claim, decision.happens)
      try {
        const result = await bus.append(definition, { key, data: data as never, time, correlation: data['claim_id'] as string | undefined, causation, sign: mac.sign, ...since }, `claims.${memberId}.*`, state.sequence, ANSWER_MS_MAX)
        // An id that was stored before, and whose message was erased since, is answered as if it had been stored now.
        if (result.kind === 'stored' && result.sequence > state.sequence) {
          projection.apply({ id, type: definition.type, time: timestamp, sequence: result.sequence, data: data as LedgerRecord['data'] })
          // What is known to be the next one need not be read again.
          if (!result.duplicate && result.sequence === sequence + 1) reached(result.sequence)
          if (!result.duplicate || isUnheard) onDecided(state.claim, decision.happens, time.getTime())
          return { decision, claim }
        }
        tries++
      } catch (error) {
        // The write may have happened and its acknowledgement be lost: only the stream knows.
        if (!isAway(error) || performance.now() >= until) throw error
        isUnheard = true
        await delay(AGAIN_EVERY_MS)
      }
      const before = state.claim
      state = await refreshed()
      if (state.lastEventId !== id) continue
      if (isUnheard) onDecided(before, decision.happens, time.getTime())
      logEvent(log, definition, { id, data, now: now(), ...since })
      return { decision, claim: state.claim }
    }
    throw transient('LEDGER_CONTENDED', 'other decisions for this member came first every time')
  }

  const replaying = replay()
  await reach(newest)
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
    consider: async (memberId, command) => {
      await reach(await newestSequence())
      const { claim } = projection.member(memberId) ?? await refresh(memberId)
      return { decision: decide(claim, command), claim }
    },
    caughtUp: async () => { await reach(await newestSequence()) },
    close: async () => {
      closing = true
      announced.unsubscribe()
      wake()
      await replaying
    },
  }
}

/** How long a member waited for the end of what they asked for. */
function sinceAsked (claim: Claim, { type }: ClaimEvent): { since?: Date } {
  return claim.status !== 'none' && (type === 'Activated' || type === 'Failed') ? { since: new Date(claim.askedAt) } : {}
}
