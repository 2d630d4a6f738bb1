import t from 'tap'
import fc from 'fast-check'
import type { ClaimProgress } from '../../../contracts/http.ts'
import { claimIdOf, IDLE, isLate, LATE_AFTER_MS, next, waitMs, type Event, type Form, type State } from '../machine.ts'

const CLAIM = '0b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c11'
const OTHER = '1b2f3c64-8c0e-4d36-9d6c-0d6f0a3b1c22'
const FORM: Form = { wa_number_e164: '0812 0000 0001', username: 'member1', template: 'nodejs' }
const T0 = Date.parse('2026-11-23T10:00:00Z')

const progress = (status: ClaimProgress['status'], claim_id = CLAIM): ClaimProgress => ({ claim_id, status, message: status, created_at: new Date(T0).toISOString(), updated_at: new Date(T0).toISOString() })
const news = (status: ClaimProgress['status'], more: object = {}): Event => ({ type: 'NEWS', progress: progress(status), ageMs: 0, ...more })
const submit = (freshKey = 'key-1', form = FORM): Event => ({ type: 'SUBMIT', form, freshKey })
const accepted: Event = { type: 'ACCEPTED', claimId: CLAIM }
const refused = (code: 'NOT_MEMBER' | 'UNAVAILABLE' | 'ALREADY_CLAIMED' | 'LEAVING' | 'RATE_LIMITED', more: object = {}): Event => ({ type: 'REFUSED', error: { code, message: `words of ${code}`, ...more } })
const lost: Event = { type: 'UNREACHABLE' }
const after = (...events: Event[]): State => events.reduce((state, event) => next(state, event, T0), IDLE)

const TABLE: ReadonlyArray<readonly [what: string, events: readonly Event[], state: object]> = [
  ['a form that is sent', [submit()], { name: 'SUBMITTING', key: 'key-1', attempt: 1 }],
  ['a second tap', [submit(), submit('key-2')], { name: 'SUBMITTING', key: 'key-1' }],
  ['an accepted claim', [submit(), accepted], { name: 'PROCESSING', claimId: CLAIM, failures: 0 }],
  ['a claim under way', [submit(), accepted, news('creating')], { name: 'PROCESSING', progress: { status: 'creating' } }],
  ['a claim whose server is ready', [submit(), accepted, news('active')], { name: 'SUCCESS', claimId: CLAIM }],
  ['a claim that failed', [submit(), accepted, news('failed')], { name: 'ERROR', of: 'claim', progress: { status: 'failed' } }],
  ['a server that will be deleted', [submit(), accepted, news('deleting')], { name: 'PROCESSING', progress: { status: 'deleting' } }],
  ['a server that was deleted', [submit(), accepted, news('deleting'), news('deleted')], { name: 'ERROR', of: 'claim', progress: { status: 'deleted' } }],
  ['a deletion that was cancelled', [{ type: 'RESUME', claimId: CLAIM }, news('deleting'), news('active')], { name: 'SUCCESS' }],
  ['a ready server whose owner left', [{ type: 'RESUME', claimId: CLAIM }, news('active'), news('deleting')], { name: 'PROCESSING' }],
  ['a refusal', [submit(), refused('NOT_MEMBER')], { name: 'ERROR', of: 'form', code: 'NOT_MEMBER', form: FORM }],
  ['a refusal with a time', [submit(), refused('RATE_LIMITED', { retry_after: 7 })], { name: 'ERROR', retryAtMs: T0 + 7_000 }],
  ['the form, sent again after a refusal', [submit(), refused('NOT_MEMBER'), submit('key-2')], { name: 'SUBMITTING', key: 'key-2' }],
  ['the same form, sent again when nobody knows', [submit(), refused('UNAVAILABLE'), submit('key-2')], { name: 'SUBMITTING', key: 'key-1' }],
  ['another form, sent when nobody knows', [submit(), refused('UNAVAILABLE'), submit('key-2', { ...FORM, username: 'member2' })], { name: 'SUBMITTING', key: 'key-2' }],
  ['a claim that is there already', [submit(), refused('ALREADY_CLAIMED', { claim_id: OTHER })], { name: 'PROCESSING', claimId: OTHER, notice: { code: 'ALREADY_CLAIMED' } }],
  ['a claim whose server is leaving', [submit(), refused('LEAVING', { claim_id: OTHER })], { name: 'PROCESSING', claimId: OTHER, notice: { code: 'LEAVING' } }],
  ['a claim in the way that has no name', [submit(), refused('LEAVING')], { name: 'ERROR', of: 'form', code: 'LEAVING' }],
  ['a lost answer', [submit(), lost], { name: 'SUBMITTING', key: 'key-1', attempt: 2 }],
  ['four lost answers', [submit(), lost, lost, lost, lost], { name: 'ERROR', of: 'form', code: 'UNREACHABLE' }],
  ['the same form after four lost answers', [submit(), lost, lost, lost, lost, submit('key-2')], { name: 'SUBMITTING', key: 'key-1', attempt: 1 }],
  ['a look that gets no answer', [submit(), accepted, news('creating'), { type: 'UNREACHABLE', claimId: CLAIM }], { name: 'PROCESSING', failures: 1, progress: { status: 'creating' } }],
  ['an answer after lost ones', [submit(), accepted, { type: 'UNREACHABLE', claimId: CLAIM }, { type: 'NO_NEWS', claimId: CLAIM }], { name: 'PROCESSING', failures: 0 }],
  ['a link to a claim', [{ type: 'RESUME', claimId: CLAIM }], { name: 'PROCESSING', claimId: CLAIM }],
  ['a claim that is not readable yet', [submit(), accepted, { type: 'NOT_FOUND', claimId: CLAIM }], { name: 'PROCESSING', failures: 1 }],
  ['a claim that is not there', [{ type: 'RESUME', claimId: CLAIM }, { type: 'NOT_FOUND', claimId: CLAIM }], { name: 'ERROR', of: 'claim' }],
  ['news of another claim', [submit(), accepted, { type: 'NEWS', progress: progress('active', OTHER), ageMs: 0 }], { name: 'PROCESSING', claimId: CLAIM }],
  ['another tab that claims, beside an idle form', [{ type: 'CLAIMED_ELSEWHERE', claimId: OTHER }], { name: 'PROCESSING', claimId: OTHER }],
  ['another tab that claims, beside a form that is being sent', [submit(), { type: 'CLAIMED_ELSEWHERE', claimId: OTHER }], { name: 'SUBMITTING' }],
  ['another tab that claims, beside a claim', [submit(), accepted, { type: 'CLAIMED_ELSEWHERE', claimId: OTHER }], { claimId: CLAIM }],
  ['starting over', [submit(), accepted, news('failed'), { type: 'START_OVER' }], { name: 'IDLE' }],
  ['starting over while the form is being sent', [submit(), { type: 'START_OVER' }], { name: 'SUBMITTING' }],
]

t.test('what happens', async (t) => {
  for (const [what, events, state] of TABLE) t.match(after(...events), state, what)
})

t.test('lateness', async (t) => {
  const begun = after(submit(), accepted, news('creating'))
  t.notOk(isLate(begun, T0 + LATE_AFTER_MS - 1))
  t.ok(isLate(begun, T0 + LATE_AFTER_MS), 'begins after three minutes')
  const resumed = next(after({ type: 'RESUME', claimId: CLAIM }), news('creating', { ageMs: 170_000 }), T0)
  t.ok(isLate(resumed, T0 + 10_000), 'counts from the claim, not from the visit')
  t.notOk(isLate(next(begun, news('deleting'), T0), T0 + LATE_AFTER_MS), 'is nothing that a deletion can be')
})

t.test('when to ask', async (t) => {
  const begun = after(submit(), accepted, news('creating'))
  const wait = (state: State, atMs = T0, isHidden = false): number | undefined => waitMs(state, atMs, isHidden)
  t.equal(wait(IDLE), undefined)
  t.equal(wait(after(submit())), 0, 'a form is sent at once')
  t.same([wait(after(submit(), lost)), wait(after(submit(), lost, lost)), wait(after(submit(), lost, lost, lost))], [1_000, 2_000, 4_000], 'and again later and later')
  t.equal(wait(after(submit(), accepted)), 0, 'a claim is looked at at once')
  t.equal(wait(begun), 3_000, 'and every three seconds')
  t.equal(wait(begun, T0, true), 10_000, 'less often where nobody looks')
  t.equal(wait(begun, T0 + LATE_AFTER_MS), 15_000, 'and less often when it is late')
  t.equal(wait(after(submit(), accepted, news('creating', { retryAfterS: 25 }))), 25_000, 'or when the gateway says so')
  t.equal(wait(after(submit(), accepted, news('creating', { retryAfterS: 25 }), news('creating'))), 3_000, 'for as long as it says so')
  t.equal(wait(after(submit(), accepted, news('deleting'))), 10_000)
  const lostLooks = Array.from({ length: 9 }, () => ({ type: 'UNREACHABLE', claimId: CLAIM }) as const)
  t.same([1, 2, 3, 9].map((count) => wait(after(submit(), accepted, news('creating'), ...lostLooks.slice(0, count)))), [3_000, 6_000, 12_000, 30_000])
  t.same([wait(after(submit(), accepted, news('active'))), wait(after(submit(), accepted, news('failed'))), wait(after(submit(), refused('NOT_MEMBER')))], [undefined, undefined, undefined], 'and never when it is over')
})

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.constantFrom(submit('key-a'), submit('key-b'), accepted, lost, news('creating'), news('active'), news('failed'), news('deleting'), news('deleted')),
  fc.constantFrom<Event>(refused('NOT_MEMBER'), refused('UNAVAILABLE'), refused('ALREADY_CLAIMED', { claim_id: OTHER }), { type: 'START_OVER' }),
  fc.constantFrom(CLAIM, OTHER).chain((claimId) => fc.constantFrom<Event>(
    { type: 'RESUME', claimId }, { type: 'CLAIMED_ELSEWHERE', claimId }, { type: 'NOT_FOUND', claimId }, { type: 'NO_NEWS', claimId }, { type: 'UNREACHABLE', claimId },
  )),
)

t.test('whatever happens', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(anyEvent, fc.integer({ min: 0, max: 60_000 })), { maxLength: 40 }), (steps) => {
    let state: State = IDLE
    let nowMs = T0
    for (const [event, passedMs] of steps) {
      nowMs += passedMs
      const before = state
      state = next(before, event, nowMs)
      const wait = waitMs(state, nowMs, false)
      // What moves asks again in time, what rests asks nothing, and what is being asked is never dropped for another tap.
      const moves = state.name === 'SUBMITTING' || state.name === 'PROCESSING'
      if (moves !== (wait !== undefined) || (wait ?? 0) > 30_000) return false
      if (before.name === 'SUBMITTING' && event.type === 'SUBMIT' && state !== before) return false
      if (before.name === 'SUBMITTING' && state.name === 'SUBMITTING' && state.key !== before.key) return false
      if (event.type === 'NEWS' && claimIdOf(before) !== event.progress.claim_id && state !== before) return false
    }
    return true
  }), { numRuns: 2_000 })
  t.pass('the page asks what it must and no more')
})
