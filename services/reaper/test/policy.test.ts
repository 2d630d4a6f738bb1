import t from 'tap'
import fc from 'fast-check'
import { beforeRoster, byRoster, type Circumstances } from '../policy.ts'
import { AT_REST, BRAKE_POLICY, departed, forgotten, held, isOn, paced, released, type BrakeRecord } from '../brake.ts'
import type { ClaimView } from '../../../contracts/requests.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const now = Date.parse('2026-03-01T12:00:00.000Z')
const iso = (ms: number) => new Date(ms).toISOString()
const claimId = '11111111-1111-4111-8111-111111111111'
const job = `${claimId}-d1`
const claim = (changes: Partial<ClaimView> = {}): ClaimView => ({
  claim_id: claimId, member_id: 'abcdefghijklmnopqrst', wa_jid: '6281200000001@s.whatsapp.net', status: 'deleting', user_id: 1, server_id: 2, allocation_id: 3,
  deletion_scheduled_at: iso(now), delete_job_id: job, created_at: iso(0), updated_at: iso(0), last_event_at: iso(0), ...changes,
})
const calm: Circumstances = { now, brakeIsOn: false, paceAllows: true, postponedAt: null, outageMs: 4 * HOUR }

t.test('a deletion that falls due', async (t) => {
  const table: Array<[string, ClaimView | null, Partial<Circumstances>, object | null]> = [
    ['asks the roster when nothing speaks against it', claim(), {}, null],
    ['is dropped without a claim', null, {}, { kind: 'drop' }],
    ['is dropped when the member came back', claim({ status: 'active', delete_job_id: null, deletion_scheduled_at: null }), {}, { kind: 'drop' }],
    ['is dropped when a newer departure took its place', claim({ delete_job_id: `${claimId}-d2` }), {}, { kind: 'drop' }],
    ['is dropped past the point of no return', claim({ deletion_started: true }), {}, { kind: 'drop' }],
    ['is dropped when it is over', claim({ status: 'deleted' }), {}, { kind: 'drop' }],
    ['waits for the last millisecond', claim(), { now: now - 1 }, { kind: 'wait', until: now }],
    ['waits while the server is made', claim({ status: 'creating' }), {}, { kind: 'postpone', reason: 'creating' }],
    ['waits for the brake', claim(), { brakeIsOn: true }, { kind: 'postpone', reason: 'brake' }],
    ['waits for the pace', claim(), { paceAllows: false }, { kind: 'postpone', reason: 'pace' }],
    ['is just on time at the end of an outage as long as allowed', claim(), { now: now + 4 * HOUR }, null],
    ['is promised anew after a longer outage', claim(), { now: now + 4 * HOUR + 1 }, { kind: 'postpone', reason: 'outage' }],
    ['waits for the time it was put off to, though the ledger does not know of it yet', claim(), { now: now + 5 * HOUR, postponedAt: now + 6 * HOUR }, { kind: 'wait', until: now + 6 * HOUR }],
    ['is not promised anew where we put it off ourselves', claim(), { now: now + 30 * HOUR, postponedAt: now + 29 * HOUR }, null],
    ['is promised anew in spite of the brake: the warning is stale', claim(), { now: now + 120 * HOUR, brakeIsOn: true }, { kind: 'postpone', reason: 'outage' }],
    ['is confirmed without a look at the group where the ledger wants it so', claim({ deletion_even_if_present: true }), {}, { kind: 'confirm', seenAt: now, evenIfPresent: true }],
    ['and waits for brake and time even then', claim({ deletion_even_if_present: true }), { brakeIsOn: true }, { kind: 'postpone', reason: 'brake' }],
  ]
  for (const [name, view, circumstances, verdict] of table) t.same(beforeRoster(job, view, { ...calm, ...circumstances }), verdict, name)
})

t.test('the roster decides', async (t) => {
  t.same(byRoster({ membership: 'present', seenAt: 5 }), { kind: 'refute', seenAt: 5 })
  t.same(byRoster({ membership: 'absent', seenAt: 5 }), { kind: 'confirm', seenAt: 5 })
  t.same(byRoster({ membership: 'unknown' }), { kind: 'postpone', reason: 'roster_unknown' }, 'and unknown is never absent')
})

const leaving = (count: number, from = 0, roster = 40): BrakeRecord => {
  let record = AT_REST
  for (let index = 0; index < count; index++) record = departed(record, `member-${from + index}`, now + index, roster - index, BRAKE_POLICY)
  return record
}

t.test('the brake', async (t) => {
  t.notOk(isOn(leaving(5), now), 'lets five of forty go')
  t.ok(isOn(leaving(6), now), 'trips at the sixth')
  t.notOk(isOn(leaving(100, 0, 1_000), now), 'lets a tenth of a thousand go')
  t.ok(isOn(leaving(101, 0, 1_000), now), 'trips above')
  let again = AT_REST
  for (let index = 0; index < 50; index++) again = departed(again, 'one-member', now + index, 40, BRAKE_POLICY)
  t.notOk(isOn(again, now), 'counts people, not messages')
  let slow = AT_REST
  for (let index = 0; index < 50; index++) slow = departed(slow, `m${index}`, now + index * 3 * MINUTE, 40, BRAKE_POLICY)
  t.notOk(isOn(slow, now + 150 * MINUTE), 'forgets after ten minutes')
  t.ok(isOn(leaving(6), now + 24 * HOUR - 1), 'holds for a day')
  t.notOk(isOn(leaving(6), now + 24 * HOUR + 6), 'and not longer')
  t.notOk(isOn(departed(released(leaving(9)), 'next', now + 10, 30, BRAKE_POLICY), now + 10), 'is not tripped again by what it was released for')
  t.ok(isOn(held(AT_REST, now, 'an operator', BRAKE_POLICY), now), "holds on an operator's word")
})

t.test('a member who is erased', async (t) => {
  const record = { ...AT_REST, departures: [['one', now], ['other', now]] as Array<[string, number]>, confirmations: [['one-d1', now], ['other-d1', now]] as Array<[string, number]> }
  t.same(forgotten(record, 'one', new Set(['one-d1'])), { ...AT_REST, departures: [['other', now]], confirmations: [['other-d1', now]] }, 'is forgotten by the brake, and nobody else')
  t.equal(forgotten(record, 'third', new Set(['third-d1'])), null, 'where it knows nothing, nothing is written')
})

t.test('the pace lets no more than so many go in any minute', async (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 80 }), fc.integer({ min: 1, max: 10 }), (gaps, perMinute) => {
    let record = AT_REST
    let at = now
    const gone: number[] = []
    for (const [index, gap] of gaps.entries()) {
      at += gap
      const next = paced(record, `job-${index}`, at, perMinute)
      if (next) { record = next; gone.push(at) }
    }
    return gone.every((first, index) => (gone[index + perMinute] ?? Infinity) - first >= MINUTE)
  }))
  t.pass('over random arrivals')
  const once = paced(AT_REST, job, now, 1)
  t.ok(once && paced(once, job, now + 1, 1), 'and one that is judged twice counts once')
  t.equal(once && paced(once, 'another', now + 1, 1), null)
})
