import t from 'tap'
import fc from 'fast-check'
import { CLOCK_DIFFERENCE_MS_MAX, CONFIRMATION_AGE_MS_MAX, decide, dueAt, evolve, FORMER_MAX, WARNING_MS_MIN, type Claim, type ClaimEvent, type Command, type Decision } from '../claim.ts'
import { activated, asked as ASKED, deleted, failed, first, given, grace, HOUR, job, now, other, requestedWith, scheduledBy, server, started, statesOf } from './claims.ts'

const asked = { ...ASKED, idempotencyKeyHash: undefined }
const departure = { deleteJobId: job, leftAt: now - grace, dueAt: now }

const requested = requestedWith(undefined)
const scheduled = scheduledBy(departure)
const cancelled: ClaimEvent = { type: 'DeletionCancelled', deleteJobId: job, reason: 'returned', movement: { sequence: 11, at: departure.leftAt + 1 } }
const STATES: Record<string, Claim> = statesOf(requested, scheduled)

const COMMANDS = {
  'the same request': { type: 'Request', now, ...asked },
  'another request': { type: 'Request', now, ...asked, claimId: other },
  ready: { type: 'ServerReady', claimId: first, server },
  'ready, foreign': { type: 'ServerReady', claimId: other, server },
  failed: { type: 'ServerFailed', claimId: first, code: 'INSTALL_TIMEOUT', step: 'install' },
  'failed, foreign': { type: 'ServerFailed', claimId: other, code: 'INSTALL_TIMEOUT', step: 'install' },
  gone: { type: 'ServerDeleted', claimId: first, deleteJobId: job, userDeleted: true },
  'gone, foreign': { type: 'ServerDeleted', claimId: first, deleteJobId: `${first}-d9`, userDeleted: true },
  leave: { type: 'Leave', movement: { sequence: 20, at: now }, now, graceMs: grace },
  return: { type: 'Return', movement: { sequence: 21, at: now } },
  confirm: { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now },
  'confirm, foreign': { type: 'ConfirmDeletion', deleteJobId: `${first}-d9`, absentAt: now, now },
  'confirm early': { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now - 1, now: now - 1 },
  'confirm with an old roster': { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now - CONFIRMATION_AGE_MS_MAX - 1, now },
  refute: { type: 'RefuteDeletion', deleteJobId: job },
  'refute, foreign': { type: 'RefuteDeletion', deleteJobId: `${first}-d9` },
  reschedule: { type: 'RescheduleDeletion', deleteJobId: job, until: now + HOUR },
  erase: { type: 'Erase', reason: 'asked' },
  'erase when it is over': { type: 'Erase', reason: 'retention', claimId: first },
  'erase, foreign': { type: 'Erase', reason: 'retention', claimId: other },
  'reschedule to earlier': { type: 'RescheduleDeletion', deleteJobId: job, until: now - 1 },
} satisfies Record<string, Command>

// Columns in the order of STATES. '·' nothing happens; UPPER CASE a rejection; otherwise the event.
const TABLE: Record<keyof typeof COMMANDS, string> = {
  //                              none        creating           creating, left    active          leaving           deleting        failed       deleted
  'the same request':           'Requested   ·                  ·                 ·               ·                 ·               ·            ·',
  'another request':            'Requested   ALREADY_CLAIMED    LEAVING           ALREADY_CLAIMED LEAVING           LEAVING         Requested    Requested',
  ready:                        'NOT_CURRENT Activated          Activated         ·               ·                 ·               NOT_CURRENT  ·',
  'ready, foreign':             'NOT_CURRENT NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     NOT_CURRENT  NOT_CURRENT',
  failed:                       'NOT_CURRENT Failed             Failed            NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     ·            NOT_CURRENT',
  'failed, foreign':            'NOT_CURRENT NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     NOT_CURRENT  NOT_CURRENT',
  gone:                         'NOT_CURRENT NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       Deleted         NOT_CURRENT  ·',
  'gone, foreign':              'NOT_CURRENT NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     NOT_CURRENT  ·',
  leave:                        '·           DeletionScheduled  ·                 DeletionScheduled ·               ·               ·            ·',
  return:                       '·           ·                  DeletionCancelled ·               DeletionCancelled ·               ·            ·',
  confirm:                      'NOT_CURRENT NOT_CURRENT        STILL_CREATING    NOT_CURRENT     DeletionStarted   ·               NOT_CURRENT  NOT_CURRENT',
  'confirm, foreign':           'NOT_CURRENT NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     NOT_CURRENT  NOT_CURRENT',
  'confirm early':              'NOT_CURRENT NOT_CURRENT        STILL_CREATING    NOT_CURRENT     NOT_DUE           ·               NOT_CURRENT  NOT_CURRENT',
  'confirm with an old roster': 'NOT_CURRENT NOT_CURRENT        STILL_CREATING    NOT_CURRENT     STALE_CONFIRMATION ·              NOT_CURRENT  NOT_CURRENT',
  refute:                       '·           ·                  DeletionCancelled ·               DeletionCancelled ·               ·            ·',
  'refute, foreign':            '·           ·                  ·                 ·               ·                 ·               ·            ·',
  reschedule:                   '·           ·                  DeletionScheduled ·               DeletionScheduled ·               ·            ·',
  erase:                        '·           HAS_SERVER         HAS_SERVER        HAS_SERVER      HAS_SERVER        HAS_SERVER      Erased       Erased',
  'erase when it is over':      '·           HAS_SERVER         HAS_SERVER        HAS_SERVER      HAS_SERVER        HAS_SERVER      Erased       Erased',
  'erase, foreign':             '·           NOT_CURRENT        NOT_CURRENT       NOT_CURRENT     NOT_CURRENT       NOT_CURRENT     NOT_CURRENT  NOT_CURRENT',
  'reschedule to earlier':      '·           ·                  ·                 ·               ·                 ·               ·            ·',
}

const inAWord = (decision: Decision): string => decision.ok ? decision.happens?.type ?? '·' : decision.rejection

for (const [name, row] of Object.entries(TABLE)) {
  t.test(`${name}, in every state`, async (t) => {
    const expected = row.trim().split(/\s+/)
    for (const [index, [state, claim]] of Object.entries(STATES).entries()) {
      const command: Command = COMMANDS[name as keyof typeof COMMANDS]
      const decision = decide(claim, command)
      t.equal(inAWord(decision), expected[index], state)
      // The same command after its event is a command delivered twice.
      if (decision.ok && decision.happens) {
        const again = decide(evolve(claim, decision.happens), command)
        t.ok(again.ok && !again.happens, `${state}: delivered twice, nothing more happens`)
      }
    }
  })
}

t.test('the last millisecond of the grace', async (t) => {
  const leaving = STATES['leaving'] as Claim
  t.equal(inAWord(decide(leaving, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now - 1, now: now - 1 })), 'NOT_DUE')
  t.equal(inAWord(decide(leaving, { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now })), 'DeletionStarted')
})

t.test('the due time', async (t) => {
  t.equal(dueAt(now, now, grace), now + grace, 'is the grace after the leave')
  t.equal(dueAt(now - 2 * HOUR, now, grace), now + 2 * HOUR, 'counts from the leave, not from when we heard of it')
  t.equal(dueAt(now - 120 * HOUR, now, grace), now + WARNING_MS_MIN, 'leaves an hour to come back, however late we heard of it')
  t.equal(dueAt(now - 120 * HOUR, now, 5_000), now + 5_000, 'or the whole grace where that is shorter')
})

t.test('a member who left while the server was made', async (t) => {
  const claim = given(requested, scheduled, activated)
  t.equal(claim.status, 'leaving')
  t.same(claim.status === 'leaving' && claim.departure, departure, 'is due at the time of the leave')
  t.equal(given(requested, scheduled, cancelled, activated).status, 'active', 'and stays after coming back')
})

t.test('the second departure of a claim has a job of its own', async (t) => {
  const decision = decide(given(requested, activated, scheduled, cancelled), { type: 'Leave', movement: { sequence: 20, at: now }, now, graceMs: grace })
  t.equal(decision.ok && decision.happens?.type === 'DeletionScheduled' && decision.happens.departure.deleteJobId, `${first}-d2`)
  t.equal(inAWord(decide(given(requested, activated, scheduled, cancelled), { type: 'ConfirmDeletion', deleteJobId: job, absentAt: now, now })), 'NOT_CURRENT',
    'and the confirmation of the first is worth nothing')
})

t.test('a late copy of a join or a leave', async (t) => {
  const leave = (sequence: number, at: number): Command => ({ type: 'Leave', movement: { sequence, at }, now, graceMs: grace })
  const back = given(requested, activated, scheduled, cancelled)
  t.equal(inAWord(decide(back, leave(10, departure.leftAt))), '·', 'of the leave that the member came back from is none')
  t.equal(inAWord(decide(back, leave(12, departure.leftAt + 2))), 'DeletionScheduled', 'but the next one is')
  t.equal(inAWord(decide(back, leave(3, now))), 'DeletionScheduled', 'and so is a newer one in a stream that was lost and counts from 1 again')
  t.equal(inAWord(decide(back, leave(12, departure.leftAt - HOUR))), 'DeletionScheduled', 'and one by a clock that was set back')
  const left = decide(back, leave(12, departure.leftAt + 2))
  const again = left.ok && left.happens ? evolve(back, left.happens) : back
  t.equal(inAWord(decide(again, { type: 'Return', movement: { sequence: 11, at: departure.leftAt + 1 } })), '·', 'of a return before the newest leave cancels nothing')
  t.equal(inAWord(decide(given(requested, activated), leave(5, now - 24 * HOUR - CLOCK_DIFFERENCE_MS_MAX - 1))), '·', 'from before the claim says nothing: the group was asked when it was made')
  const next = given(requested, activated, scheduled, started, deleted, { type: 'Requested', at: now, ...asked, claimId: other }, activated)
  t.equal(inAWord(decide(next, leave(10, departure.leftAt))), '·', 'is known as one by the next claim, too')
})

t.test('what is erased', async (t) => {
  const next: ClaimEvent = { type: 'Requested', at: now, ...asked, claimId: other }
  const claim = given(requested, activated, scheduled, started, deleted, next, failed)
  const decision = decide(claim, { type: 'Erase', reason: 'asked' })
  t.same(decision.ok && decision.happens, { type: 'Erased', memberId: asked.memberId, claims: [{ claimId: first, departures: 1 }, { claimId: other, departures: 0 }], reason: 'asked' }, 'is every claim of the member, with how many departures each had')
  if (!decision.ok || !decision.happens) throw new Error('unreachable')
  t.same(evolve(claim, decision.happens), { status: 'none' }, 'and nothing is left of it')
  const many = given(...Array.from({ length: FORMER_MAX + 5 }, (_, n) => [{ ...next, claimId: `claim ${n}` }, failed]).flat())
  t.equal(many.status !== 'none' && many.former.length, FORMER_MAX, 'as far as one event can name them')
  t.equal(many.status !== 'none' && many.former.at(-1)?.claimId, `claim ${FORMER_MAX + 3}`, 'the newest')
})

t.test('the same tap finds the same claim', async (t) => {
  const hash = 'a'.repeat(64)
  const claim = given({ type: 'Requested', at: now, ...asked, idempotencyKeyHash: hash })
  t.equal(inAWord(decide(claim, { type: 'Request', now, ...asked, claimId: other, idempotencyKeyHash: hash })), '·')
  t.equal(inAWord(decide(claim, { type: 'Request', now, ...asked, claimId: other, idempotencyKeyHash: 'b'.repeat(64) })), 'ALREADY_CLAIMED')
})

t.test('while no claims are taken', async (t) => {
  const hash = 'a'.repeat(64)
  const again = { type: 'Request', now, ...asked, claimId: other, isClosed: true } as const
  for (const [name, claim] of Object.entries(STATES)) t.equal(inAWord(decide(claim, again)), 'CLAIMS_CLOSED', `${name}: who asks is told so, and nothing of what there is`)
  t.equal(inAWord(decide(given({ type: 'Requested', at: now, ...asked, idempotencyKeyHash: hash }), { ...again, idempotencyKeyHash: hash })), '·', 'but whose claim was taken a moment ago finds it')
})

t.test('over any history', async (t) => {
  const ids = [first, other, '33333333-3333-4333-8333-333333333333']
  const claimId = fc.constantFrom(...ids)
  const deleteJobId = fc.tuple(claimId, fc.integer({ min: 1, max: 3 })).map(([id, n]) => `${id}-d${n}`)
  const time = fc.integer({ min: 0, max: 12 }).map((hours) => now + hours * HOUR)
  const sequence = fc.integer({ min: 1, max: 50 })
  const command: fc.Arbitrary<Command> = fc.oneof(
    claimId.map((id): Command => ({ type: 'Request', now, ...asked, claimId: id })),
    claimId.map((id): Command => ({ type: 'ServerReady', claimId: id, server })),
    claimId.map((id): Command => ({ type: 'ServerFailed', claimId: id, code: 'INTERNAL', step: 'create' })),
    fc.tuple(claimId, deleteJobId).map(([id, j]): Command => ({ type: 'ServerDeleted', claimId: id, deleteJobId: j, userDeleted: true })),
    fc.tuple(time, sequence).map(([at, n]): Command => ({ type: 'Leave', movement: { sequence: n, at }, now: at, graceMs: grace })),
    fc.tuple(time, sequence).map(([at, n]): Command => ({ type: 'Return', movement: { sequence: n, at } })),
    fc.tuple(deleteJobId, time).map(([j, at]): Command => ({ type: 'ConfirmDeletion', deleteJobId: j, absentAt: at, now: at })),
    deleteJobId.map((j): Command => ({ type: 'RefuteDeletion', deleteJobId: j })),
    fc.constant<Command>({ type: 'Erase', reason: 'asked' }),
    claimId.map((id): Command => ({ type: 'Erase', reason: 'retention', claimId: id })),
    fc.tuple(deleteJobId, time).map(([j, at]): Command => ({ type: 'RescheduleDeletion', deleteJobId: j, until: at })),
  )
  const LIVING = new Set(['creating', 'active', 'leaving', 'deleting'])
  fc.assert(fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
    let claim: Claim = { status: 'none' }
    const history: ClaimEvent[] = []
    for (const each of commands) {
      const decision = decide(claim, each)
      if (!decision.ok || !decision.happens) continue
      const event = decision.happens
      const next = evolve(claim, event)
      if (event.type === 'Requested' && LIVING.has(claim.status)) throw new Error('two living claims')
      if (event.type === 'Deleted' && history.at(-1)?.type !== 'DeletionStarted') throw new Error('deleted without a started deletion')
      if (event.type === 'DeletionStarted') {
        if (each.type !== 'ConfirmDeletion') throw new Error('started without a confirmation')
        if (claim.status !== 'leaving' || each.now < claim.departure.dueAt) throw new Error('started before it was due')
      }
      if (event.type === 'Erased' && (LIVING.has(claim.status) || next.status !== 'none')) throw new Error('erased with a living claim, or not at all')
      if (claim.status === 'deleting' && next.status !== 'deleting' && next.status !== 'deleted') throw new Error('a way back after the point of no return')
      if (JSON.stringify(next) === JSON.stringify(claim)) throw new Error(`an event that changes nothing: ${event.type}`)
      history.push(event)
      claim = next
    }
    return JSON.stringify(history.reduce(evolve, { status: 'none' } as Claim)) === JSON.stringify(claim)
  }), { numRuns: 5_000 })
  t.pass('never two living claims, never deleted without a confirmed departure, no way back after the point of no return (5,000 histories)')
})
