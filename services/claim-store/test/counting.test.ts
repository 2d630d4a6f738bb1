// What claim-store counts: each decision once, by the claim-store that wrote it.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { Registry } from 'prom-client'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import type { ClaimView } from '../../../contracts/requests.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import { transient } from '../../common/fault.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import type { Claim, Command } from '../claim.ts'
import { openLedger, type Ledger } from '../ledger.ts'
import { createMac } from '../mac.ts'
import { countDecision, createClaimStoreMetrics, tally } from '../metrics.ts'
import { Projection } from '../projection.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const log = createLog('claim-store', 'silent', () => {})
const memberId = 'a'.repeat(20)
const waJid = '6281200000001@s.whatsapp.net'
const request = (claimId: string): Command => ({ type: 'Request', now: Date.now(), claimId, memberId, waJid, language: 'id', username: 'budi', template: 'nodejs', templateVersion: 1, idempotencyKeyHash: undefined })

async function busOf (): Promise<Bus> {
  const bus = await createBus({ ...nats.playing('claim-store'), log, metrics: createMetrics('claim-store'), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}
async function ledgerOn (bus: Bus, counted: string[]): Promise<Ledger> {
  const ledger = await openLedger({ bus, log, projection: new Projection(), mac: createMac('l'.repeat(32)), from: 0, reflected: 0, now: () => new Date(), onDecided: (_, event) => { counted.push(event.type) } })
  t.teardown(() => ledger.close())
  return ledger
}

t.test('a decision', async (t) => {
  const counted: string[] = []
  const [one, two] = [await ledgerOn(await busOf(), counted), await ledgerOn(await busOf(), counted)]
  const claimId = randomUUID()
  await Promise.all([one.execute(memberId, request(claimId), {}), two.execute(memberId, request(claimId), {})])
  t.same(counted, ['Requested'], 'that two claim-stores come to is counted by the one that wrote it')
  await two.execute(memberId, request(randomUUID()), {})
  t.same(counted, ['Requested'], 'that is a refusal is none')

  let isLost = false
  const losing = await busOf()
  const three = await ledgerOn({
    ...losing,
    append: async (...args) => {
      const result = await losing.append(...args)
      if (isLost) return result
      isLost = true
      throw transient('NATS_UNAVAILABLE', 'the acknowledgement is lost')
    },
  }, counted)
  t.same(counted, ['Requested'], 'that is replayed is not counted')
  await three.execute(memberId, { type: 'ServerFailed', claimId, code: 'NODE_DOWN', step: 'create' }, {})
  t.same(counted, ['Requested', 'Failed'], 'whose acknowledgement got lost is counted, once')
})

t.test('the metrics of claims', async (t) => {
  const view = (status: ClaimView['status'], minute: number) => ({ status, created_at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString() }) as ClaimView
  t.same(tally([]), { counts: { creating: 0, active: 0, failed: 0, deleting: 0, deleted: 0 }, creatingSince: null })
  t.match(tally([view('creating', 3), view('creating', 2), view('active', 1)]), { counts: { creating: 2, active: 1 }, creatingSince: Date.UTC(2026, 0, 1, 0, 2) }, 'name the oldest of those that are being created')

  const registry = new Registry()
  const metrics = createClaimStoreMetrics(registry, { views: () => [view('creating', 0)], now: () => Date.UTC(2026, 0, 1, 0, 1) })
  const claim = { status: 'creating', askedAt: 1_000 } as Claim
  countDecision(metrics, claim, { type: 'Activated', server: {} as never }, 101_000)
  countDecision(metrics, claim, { type: 'Failed', code: 'NODE_DOWN', step: 'create' }, 0)
  const departure = { deleteJobId: 'x', leftAt: 0, dueAt: 0 }
  countDecision(metrics, claim, { type: 'DeletionScheduled', reason: 'left', departure, movement: undefined }, 0)
  countDecision(metrics, claim, { type: 'DeletionScheduled', reason: 'outage', departure, movement: undefined }, 0)
  const text = await registry.metrics()
  for (const line of ['klaim_claim_creating_oldest_seconds 60', 'klaim_claims{status="creating"} 1', 'klaim_claim_active_seconds_bucket{le="90"} 0', 'klaim_claim_active_seconds_bucket{le="120"} 1', 'klaim_claims_failed_total{code="NODE_DOWN"} 1', 'klaim_claims_failed_total{code="INTERNAL"} 0', 'klaim_deletions_scheduled_total 1']) t.ok(text.split('\n').includes(line), line)
})
