import t from 'tap'
import type { ClaimView } from '../../../contracts/requests.ts'
import { Projection } from '../projection.ts'
import { DAY_MS, retired } from '../retention.ts'

const now = new Date('2026-06-01T00:00:00.000Z')
const ago = (ms: number): string => new Date(now.getTime() - ms).toISOString()

/** The claims whose time is over, of those that a book holds. */
function over (views: ReadonlyArray<Partial<ClaimView>>, countMax = 100): string[] {
  const projection = new Projection()
  for (const [n, view] of views.entries()) {
    projection.adopt({
      claim_id: `claim ${n}`, member_id: `member ${n}`, wa_jid: '6281200000001@s.whatsapp.net', status: 'deleted', user_id: null, server_id: null, allocation_id: null,
      deletion_scheduled_at: null, delete_job_id: null, created_at: ago(200 * DAY_MS), updated_at: ago(90 * DAY_MS), last_event_at: ago(90 * DAY_MS), ...view,
    })
  }
  return retired(projection, now, 90 * DAY_MS, countMax).map(({ claim_id: claimId }) => claimId)
}

t.test('the time of a former member is over', async (t) => {
  t.same(over([{}, { last_event_at: ago(90 * DAY_MS - 1) }]), ['claim 0'], 'to the millisecond')
  t.same(over([{ status: 'failed' }, { status: 'creating' }, { status: 'active' }, { status: 'deleting' }, { status: 'deleted' }]), ['claim 0', 'claim 4'], 'after a claim that ended, however old another is')
  t.same(over([{ member_id: 'one' }, { member_id: 'one', created_at: ago(100 * DAY_MS), status: 'active' }]), [], 'but not while a newer claim lives')
  t.same(over([{ member_id: 'one' }, { member_id: 'one', created_at: ago(100 * DAY_MS) }]), ['claim 1'], 'once for each member')
  t.same(over([{}, {}, {}], 2), ['claim 0', 'claim 1'], 'and for so many at a time')
})
