// What an operator may do with a claim: the decisions alone.
import t from 'tap'
import fc from 'fast-check'
import { decide, DELAYED_MS_MAX, evolve, WARNING_MS_MIN, type Claim, type ClaimEvent, type Command, type Decision, type Departure, type Operation } from '../claim.ts'
import { read, written } from '../record.ts'
import { activated, asked, first, given, grace, HOUR, job, now, other, requestedWith, scheduledBy, statesOf } from './claims.ts'

const next = other
/** Left an hour ago. */
const departure: Departure = { deleteJobId: job, leftAt: now - HOUR, dueAt: now - HOUR + grace }

const requested = requestedWith('a'.repeat(64))
const scheduled = scheduledBy(departure)
const byOperator = (operation: 'delete' | 'hold', changed: Partial<Departure>): ClaimEvent => ({ type: 'DeletionScheduled', reason: 'operator', operation, movement: undefined, departure: { ...departure, ...changed } })

const { deleting, failed: hasFailed, deleted: isOver, ...before } = statesOf(requested, scheduled)
const STATES: Record<string, Claim> = {
  ...before,
  'leaving, held': given(requested, activated, scheduled, byOperator('hold', { dueAt: now + 24 * HOUR, heldFrom: departure.dueAt })),
  'leaving, ordered': given(requested, activated, byOperator('delete', { dueAt: now, leftAt: now, evenIfPresent: true })),
  deleting, failed: hasFailed, deleted: isOver,
}

const retry = { type: 'Retry', claimId: first, nextClaimId: next, templateVersion: undefined, seen: 'present', now } as const
const remove = { type: 'Delete', claimId: first, evenIfPresent: false, seen: 'absent', now } as const
const COMMANDS = {
  retry,
  'retry, foreign': { ...retry, claimId: next },
  'retry, absent': { ...retry, seen: 'absent' },
  'retry, unknown': { ...retry, seen: 'unknown' },
  delete: remove,
  'delete, foreign': { ...remove, claimId: next },
  'delete, present': { ...remove, seen: 'present' },
  'delete, unknown': { ...remove, seen: 'unknown' },
  'delete even if present': { ...remove, evenIfPresent: true, seen: 'present' },
  'hold for a day': { type: 'Hold', claimId: first, until: now + 25 * HOUR },
  'hold for a minute': { type: 'Hold', claimId: first, until: now + 60_000 },
  'hold for a month': { type: 'Hold', claimId: first, until: departure.leftAt + DELAYED_MS_MAX + HOUR + 1 },
  release: { type: 'Release', claimId: first, now, graceMs: grace },
  'release, late': { type: 'Release', claimId: first, now: now + 24 * HOUR, graceMs: grace },
  extend: { type: 'Extend', claimId: first, byMs: 2 * HOUR, now },
  'extend by a month': { type: 'Extend', claimId: first, byMs: DELAYED_MS_MAX, now },
  'extend, foreign': { type: 'Extend', claimId: next, byMs: HOUR, now },
} satisfies Record<string, Operation>

// Columns in the order of STATES. '·' nothing happens; UPPER CASE a rejection; otherwise the event.
const S = 'DeletionScheduled'
const TABLE: Record<keyof typeof COMMANDS, string> = {
  //                        none        creating      creating, left     active             leaving            held               ordered       deleting         failed       deleted
  retry:                   `NOT_CURRENT NOT_FAILED    NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED    NOT_FAILED       Requested    NOT_FAILED`,
  'retry, foreign':        `NOT_CURRENT NOT_CURRENT   NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT   NOT_CURRENT      NOT_CURRENT  NOT_CURRENT`,
  'retry, absent':         `NOT_CURRENT NOT_FAILED    NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED    NOT_FAILED       NOT_MEMBER   NOT_FAILED`,
  'retry, unknown':        `NOT_CURRENT NOT_FAILED    NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED         NOT_FAILED    NOT_FAILED       MEMBERSHIP_UNKNOWN NOT_FAILED`,
  delete:                  `NOT_CURRENT ${S}          ${S}               ${S}               ${S}               ${S}               ${S}          ·                NO_SERVER    ·`,
  'delete, foreign':       `NOT_CURRENT NOT_CURRENT   NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT   NOT_CURRENT      NOT_CURRENT  NOT_CURRENT`,
  'delete, present':       `NOT_CURRENT MEMBER_PRESENT MEMBER_PRESENT    MEMBER_PRESENT     MEMBER_PRESENT     MEMBER_PRESENT     MEMBER_PRESENT ·               NO_SERVER    ·`,
  'delete, unknown':       `NOT_CURRENT MEMBERSHIP_UNKNOWN MEMBERSHIP_UNKNOWN MEMBERSHIP_UNKNOWN MEMBERSHIP_UNKNOWN MEMBERSHIP_UNKNOWN MEMBERSHIP_UNKNOWN · NO_SERVER     ·`,
  'delete even if present': `NOT_CURRENT ${S}         ${S}               ${S}               ${S}               ${S}               ·             ·                NO_SERVER    ·`,
  'hold for a day':        `NOT_CURRENT NOT_SCHEDULED ${S}               NOT_SCHEDULED      ${S}               ${S}               ${S}          DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  'hold for a minute':     `NOT_CURRENT NOT_SCHEDULED NOT_LATER          NOT_SCHEDULED      NOT_LATER          NOT_LATER          ${S}          DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  'hold for a month':      `NOT_CURRENT NOT_SCHEDULED TOO_FAR            NOT_SCHEDULED      TOO_FAR            TOO_FAR            TOO_FAR       DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  release:                 `NOT_CURRENT NOT_SCHEDULED NOT_HELD           NOT_SCHEDULED      NOT_HELD           ${S}               NOT_HELD      DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  'release, late':         `NOT_CURRENT NOT_SCHEDULED NOT_HELD           NOT_SCHEDULED      NOT_HELD           NOT_HELD           NOT_HELD      DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  extend:                  `NOT_CURRENT NOT_SCHEDULED ${S}               NOT_SCHEDULED      ${S}               ${S}               ${S}          DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  'extend by a month':     `NOT_CURRENT NOT_SCHEDULED TOO_FAR            NOT_SCHEDULED      TOO_FAR            TOO_FAR            ${S}          DELETION_STARTED NOT_SCHEDULED NOT_SCHEDULED`,
  'extend, foreign':       `NOT_CURRENT NOT_CURRENT   NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT        NOT_CURRENT   NOT_CURRENT      NOT_CURRENT  NOT_CURRENT`,
}

const inAWord = (decision: Decision): string => decision.ok ? decision.happens?.type ?? '·' : decision.rejection
for (const [name, row] of Object.entries(TABLE)) {
  t.test(`${name}, in every state`, async (t) => {
    t.same(Object.values(STATES).map((claim) => inAWord(decide(claim, COMMANDS[name as keyof typeof COMMANDS]))), row.trim().split(/\s+/), Object.keys(STATES).join(' | '))
  })
}

/** What happens, as it is stored and read again. */
function after (claim: Claim, command: Command): { claim: Claim, event: ClaimEvent } {
  const decision = decide(claim, command)
  if (!decision.ok || !decision.happens) throw new Error(inAWord(decision))
  const { definition, data } = written(claim, decision.happens)
  const event = read(definition.type, data, new Date(now).toISOString())
  return { claim: evolve(claim, event), event }
}
function departureAfter (claim: Claim, command: Command): Departure {
  const next = after(claim, command).claim
  if (next.status !== 'leaving' && next.status !== 'creating') throw new Error(next.status)
  return next.departure as Departure
}
const state = (name: string): Claim => STATES[name] as Claim

t.test('a retry', async (t) => {
  const { claim, event } = after(state('failed'), retry)
  t.match(event, { type: 'Requested', ...asked, claimId: next, idempotencyKeyHash: undefined }, 'is a claim of its own that asks for the same')
  t.match(claim, { status: 'creating', former: [{ claimId: first }] }, 'after the one that failed')
  t.match(after(state('failed'), { ...retry, templateVersion: 7 }).event, { templateVersion: 7 }, 'or for a newer version')
  t.equal(inAWord(decide(claim, retry)), 'NOT_CURRENT', 'and is not tried twice')
  const lost = given({ type: 'Restored', status: 'failed', at: now, claimId: first, memberId: asked.memberId, waJid: asked.waJid, language: 'id', server: undefined, code: 'INTERNAL', deleteJobId: undefined, departures: 0, movement: undefined })
  t.equal(inAWord(decide(lost, retry)), 'REQUEST_LOST', 'where the ledger was made anew from the book, nobody knows what was asked for')
})

t.test('a deletion without the grace', async (t) => {
  t.same(departureAfter(state('active'), remove), { deleteJobId: job, leftAt: now, dueAt: now }, 'is a departure that is due')
  t.same(departureAfter(state('leaving'), remove), { ...departure, dueAt: now }, 'or the one there is, due at once')
  t.same(departureAfter(state('leaving, held'), remove), { ...departure, dueAt: now }, 'held or not')
  const { claim } = after(state('active'), remove)
  t.equal(inAWord(decide(claim, remove)), '·', 'asked twice it is decided once')
  t.equal(inAWord(decide(claim, { type: 'Return', movement: { sequence: 20, at: now } })), 'DeletionCancelled', 'and ends, like every other, where the member returns')
  t.equal(inAWord(decide(claim, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now, evenIfPresent: true })), 'NOT_CURRENT', 'and is not confirmed by somebody who has not looked')
})

t.test('a deletion even of who is present', async (t) => {
  const claim = state('leaving, ordered')
  t.equal(inAWord(decide(claim, { type: 'Return', movement: { sequence: 20, at: now } })), '·', 'does not end because the member is in the group')
  t.equal(inAWord(decide(claim, { type: 'RefuteDeletion', deleteJobId: job })), '·')
  t.equal(inAWord(decide(claim, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now, evenIfPresent: true })), 'DeletionStarted')
  const held = after(claim, { type: 'Hold', claimId: first, until: now + HOUR }).claim
  t.equal(inAWord(decide(held, { type: 'RefuteDeletion', deleteJobId: job })), 'DeletionCancelled', 'but held it is an ordinary one again')
  t.equal(inAWord(decide(held, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now, evenIfPresent: true })), 'NOT_CURRENT', 'and what was confirmed before that is worth nothing')
})

t.test('a held deletion', async (t) => {
  const held = state('leaving, held')
  t.same(departureAfter(state('leaving'), { type: 'Hold', claimId: first, until: now + 24 * HOUR }), { ...departure, dueAt: now + 24 * HOUR, heldFrom: departure.dueAt }, 'knows when it was due')
  t.equal(departureAfter(held, { type: 'Hold', claimId: first, until: now + 48 * HOUR }).heldFrom, departure.dueAt, 'however often it is held')
  t.same(departureAfter(held, { type: 'Release', claimId: first, now, graceMs: grace }), { ...departure, dueAt: departure.dueAt + 1_000 }, 'is due then once released, by a second that makes it another promise')
  t.equal(departureAfter(held, { type: 'Release', claimId: first, now: departure.dueAt + HOUR, graceMs: grace }).dueAt, departure.dueAt + HOUR + WARNING_MS_MIN, 'or, where that has passed, in an hour')
  t.same(departureAfter(held, { type: 'Extend', claimId: first, byMs: 2 * HOUR, now }), { ...departure, dueAt: departure.dueAt + 2 * HOUR }, 'or is given so much more')
  t.equal(inAWord(decide(held, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: departure.dueAt, now: departure.dueAt })), 'NOT_CURRENT', 'does not start by a confirmation from before')
})

t.test('however a deletion is moved, no two decisions promise the same time', async (t) => {
  const operation = fc.oneof(
    fc.integer({ min: 1, max: 200 }).map((hours) => (at: number): Operation => ({ type: 'Hold', claimId: first, until: at + hours * HOUR })),
    fc.constant((at: number): Operation => ({ type: 'Release', claimId: first, now: at, graceMs: grace })),
    fc.integer({ min: 1, max: 72 }).map((hours) => (at: number): Operation => ({ type: 'Extend', claimId: first, byMs: hours * HOUR, now: at })),
    fc.boolean().map((evenIfPresent) => (at: number): Operation => ({ type: 'Delete', claimId: first, evenIfPresent, seen: 'absent', now: at })),
  )
  fc.assert(fc.property(fc.array(fc.tuple(operation, fc.integer({ min: 1, max: 5_400_017 })), { maxLength: 40 }), (steps) => {
    let [claim, at] = [state('leaving'), now]
    const ids = [departure.dueAt]
    for (const [make, passedMs] of steps) {
      at += passedMs
      const decision = decide(claim, make(at))
      if (!decision.ok || !decision.happens) continue
      claim = after(claim, make(at)).claim
      const due = claim.status === 'leaving' ? claim.departure.dueAt : 0
      if (due > departure.leftAt + DELAYED_MS_MAX) throw new Error('later than a month after the leave')
      ids.push(due)
    }
    return new Set(ids).size === ids.length
  }), { numRuns: 2_000 })
  t.pass('2,000 histories: the id of a decision is made of its job and time')
})
