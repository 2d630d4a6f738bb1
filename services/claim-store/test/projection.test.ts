// The word that somebody was erased, by every way on which claim-store can know them.
import t from 'tap'
import { claimErased, claimRequested } from '../../../contracts/events/claims.ts'
import type { ClaimView } from '../../../contracts/requests.ts'
import { Projection, type LedgerRecord } from '../projection.ts'

const MEMBER = 'aaaaaaaaaaaaaaaaaaaa'
const CLAIM = '00000000-0000-4000-8000-000000000001'
const time = '2026-01-02T03:04:05.678Z'

const requested: LedgerRecord = { id: 'claim.requested.v1:1', type: claimRequested.type, time, sequence: 1, data: { claim_id: CLAIM, member_id: MEMBER, wa_jid: '6281200000001@s.whatsapp.net', language: 'id', username: 'member', template: 'nodejs', template_version: 1 } as LedgerRecord['data'] }
const erased: LedgerRecord = { id: 'claim.erased.v1:1', type: claimErased.type, time, sequence: 2, data: { member_id: MEMBER, claims: [{ claim_id: CLAIM, departures: 0 }], reason: 'asked' } as LedgerRecord['data'] }

function viewOf (record: LedgerRecord): ClaimView {
  const projection = new Projection()
  projection.apply(record)
  return projection.view(CLAIM) as ClaimView
}

const ways: Record<string, (projection: Projection) => void> = {
  'from the book': (projection) => {
    projection.adopt(viewOf(requested))
    projection.apply(erased)
  },
  'from the book, and read anew': (projection) => {
    projection.adopt(viewOf(requested))
    projection.rebuild(MEMBER, [erased], 2)
  },
  'from the stream': (projection) => {
    projection.apply(requested)
    projection.apply(erased)
  },
  'from the stream, and read anew': (projection) => {
    projection.apply(requested)
    projection.rebuild(MEMBER, [erased], 2)
  },
}

for (const [way, go] of Object.entries(ways)) {
  t.test(`who is known ${way}`, async (t) => {
    const projection = new Projection()
    const forgotten: string[] = []
    projection.onForgotten((claimId) => { forgotten.push(claimId) })
    go(projection)
    t.same(forgotten, [CLAIM])
    t.same([...projection.views()], [])
    t.equal(projection.newestOf(MEMBER), undefined)
    t.equal(projection.member(MEMBER)?.sequence, 2, 'and the next decision is appended behind the word')
  })
}

t.test('of whom nothing is left, nothing is forgotten', async (t) => {
  const projection = new Projection()
  projection.onForgotten(() => { t.fail() })
  projection.apply(erased)
  t.equal(projection.member(MEMBER)?.sequence, 2)
})
