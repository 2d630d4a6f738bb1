import t from 'tap'
import type { BookEntry } from '../../../contracts/requests.ts'
import { decide, evolve, type Claim } from '../../../services/claim-store/claim.ts'
import { entryOf, lasting, read, viewed } from '../../../services/claim-store/record.ts'
import { planOf, type Heard, type Known } from '../plan.ts'

const HOUR = 3_600_000
const NOW = new Date('2026-03-01T12:00:00Z')
const CLAIM = '11111111-1111-4111-8111-111111111111'
const at = (hours: number): string => new Date(NOW.getTime() + hours * HOUR).toISOString()
const entry = (more: Partial<BookEntry> = {}): BookEntry => ({
  claim_id: CLAIM, wa_jid: '6281200000001@s.whatsapp.net', status: 'active', user_id: 7, server_id: 8, allocation_id: 9, deletion_scheduled_at: null, delete_job_id: null,
  created_at: at(-48), updated_at: at(-24), last_event_at: at(-24), ...more,
})
const nothing = { user_id: null, server_id: null, allocation_id: null }
const known = (more: Partial<Known> = {}): Known => ({ memberId: 'abcdefghijklmnopqrst', language: 'id', departures: 0, heard: [], server: null, ...more })
const found = (isInstalled: boolean) => ({ id: 8, userId: 7, allocationId: 9, isInstalled })
const heard = (sequence: number, hours: number, hasLeft: boolean): Heard => ({ sequence, at: NOW.getTime() + hours * HOUR, storedAt: NOW.getTime() + hours * HOUR, hasLeft })
const leaving = { status: 'deleting', deletion_scheduled_at: at(2), delete_job_id: `${CLAIM}-d3` } as const

/** What claim-store makes of a plan, without the book. */
function replayed (...[of, with_]: [BookEntry, Known]): { claim: Claim, book: BookEntry } {
  let claim: Claim = { status: 'none' }
  let view
  for (const { definition, data, time } of planOf(of, with_, claim, NOW).plan.events) {
    const event = read(definition.type, data, time.toISOString())
    claim = evolve(claim, event)
    view = viewed(claim, lasting(event) ?? view, time.toISOString())
  }
  return { claim, book: entryOf(view as NonNullable<typeof view>) }
}

t.test('what stands still is in the book afterwards as it was before', async (t) => {
  for (const each of [entry(), entry({ status: 'failed', ...nothing }), entry({ status: 'deleted', delete_job_id: `${CLAIM}-d2` })]) t.same(replayed(each, known()).book, each, each.status)
  t.same(replayed(entry(leaving), known({ server: found(true) })).book, entry(leaving), 'deleting')
})

t.test('what was under way is settled by what the panel has', async (t) => {
  const plan = (of: Partial<BookEntry>, server: Known['server']) => planOf(entry(of), known({ server }), { status: 'none' }, NOW).plan
  const creating = { status: 'creating', ...nothing } as const
  t.match(plan(creating, found(true)), { as: 'active', clears: false, needsLogin: true })
  t.match(plan(creating, found(false)), { as: 'failed', clears: true })
  t.match(plan(creating, null), { as: 'failed', clears: true, needsLogin: false })
  t.match(plan({ ...creating, deletion_scheduled_at: at(2), delete_job_id: `${CLAIM}-d1` }, found(true)), { as: 'leaving' })
  t.match(plan(leaving, null), { as: 'deleted', clears: true })
  t.match(replayed(entry(creating), known({ server: found(true) })).claim, { status: 'active', server: { server_id: 8 } })
  t.match(replayed(entry(creating), known()).claim, { status: 'failed', code: 'INTERNAL' })
})

t.test('a run that died after it removed what was half-made writes the same', async (t) => {
  const data = (server: Known['server']) => planOf(entry({ status: 'creating', ...nothing }), known({ server }), { status: 'none' }, NOW).plan.events.map((event) => event.data)
  t.same(data(null), data(found(false)))
})

t.test('the next departure is one that nobody has spoken of', async (t) => {
  const { claim } = replayed(entry(), known({ departures: 4 }))
  const decision = decide(claim, { type: 'Leave', movement: { sequence: 1, at: NOW.getTime() }, now: NOW.getTime(), graceMs: HOUR })
  t.match(decision, { ok: true, happens: { departure: { deleteJobId: `${CLAIM}-d5` } } })
})

t.test('a movement that the book reflects is not heard twice, and a later one is heard', async (t) => {
  const decided = (of: BookEntry, movements: Heard[]): string[] => movements.flatMap(({ sequence, at: when, hasLeft }) => {
    const { claim } = replayed(of, known({ heard: movements, server: found(true) }))
    const movement = { sequence, at: when }
    const decision = decide(claim, hasLeft ? { type: 'Leave', movement, now: NOW.getTime(), graceMs: HOUR } : { type: 'Return', movement })
    return decision.ok && decision.happens ? [decision.happens.type] : []
  })
  t.same(decided(entry(), [heard(1, -40, true), heard(2, -39, false)]), [], 'went and came back')
  t.same(decided(entry(), [heard(1, -25, true)]), [], 'a leave that was taken back without a return')
  t.same(decided(entry(), [heard(1, -40, true), heard(2, -39, false), heard(3, -1, true)]), ['DeletionScheduled'], 'left after the book was written')
  t.same(decided(entry(leaving), [heard(3, -25, true)]), [], 'the leave that the book knows')
  t.same(decided(entry(leaving), [heard(3, -25, true), heard(4, -1, false)]), ['DeletionCancelled'], 'came back after the book was written')
})

t.test('the promise stands', async (t) => {
  const { events } = planOf(entry(leaving), known({ server: found(true) }), { status: 'none' }, NOW).plan
  t.match(events[1]?.data, { deletion_scheduled_at: at(2) })
  t.same(events.map(({ time }) => time.toISOString()), [at(-24), at(-24)], 'and nobody is kept longer for it')
})
