import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createBus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { openLedger } from '../ledger.ts'
import { createMac } from '../mac.ts'
import { Projection, type LedgerRecord } from '../projection.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())

/** A claim-store's ledger, and how many messages it has sent to NATS. */
async function ledgerOf (t: Test, projection = new Projection()) {
  const log = createLog('claim-store', 'trace', () => {})
  const bus = await createBus({ ...nats.playing('claim-store'), log, metrics: createMetrics('claim-store'), now: () => new Date() })
  const ledger = await openLedger({ bus, log, projection, mac: createMac('l'.repeat(32)), from: 0, reflected: 0, now: () => new Date() })
  t.teardown(async () => {
    await ledger.close()
    await bus.close()
  })
  return { ...ledger, sent: () => bus.raw.connection.stats().outMsgs }
}

const CLAIMS = 40
/** A look around once a second is two messages, and the clock of NATS is read now and then. */
const perSecond = 3

t.test('what a claim-store has decided itself it does not read again, and another one does', async (t) => {
  const [one, other] = await Promise.all([ledgerOf(t), ledgerOf(t)])
  const [before, began] = [one.sent(), performance.now()]
  const claimIds: string[] = []
  for (let n = 0; n < CLAIMS; n++) {
    const [claimId, waJid] = [randomUUID(), `62812000000${String(n).padStart(2, '0')}@s.whatsapp.net`]
    const memberId = memberIdOf('k'.repeat(32), waJid)
    const { decision } = await one.execute(memberId, { type: 'Request', now: Date.now(), isClosed: false, claimId, memberId, waJid, language: 'id', username: 'member', template: 'nodejs', templateVersion: 1, idempotencyKeyHash: undefined }, {})
    t.ok(decision.ok)
    claimIds.push(claimId)
  }
  const [sent, seconds] = [one.sent() - before, Math.ceil((performance.now() - began) / 1_000)]
  t.ok(sent <= CLAIMS + perSecond * (seconds + 2), `${sent} messages for ${CLAIMS} decisions in ${seconds} s`)
  t.equal(one.sequence(), CLAIMS, 'it knows how far it is')
  await other.caughtUp()
  t.same(claimIds.filter((claimId) => !other.projection.view(claimId)), [], 'the other one learns of all of them')
})

t.test('a page that breaks off is taken up where it broke', async (t) => {
  const applied: number[] = []
  class Failing extends Projection {
    override apply (record: LedgerRecord): void {
      applied.push(record.sequence)
      if (applied.length === CLAIMS / 2) throw new Error('in the middle of a page')
      super.apply(record)
    }
  }
  const ledger = await ledgerOf(t, new Failing())
  t.equal(ledger.sequence(), CLAIMS)
  t.equal([...ledger.projection.views()].length, CLAIMS)
  t.same(applied, Array.from({ length: CLAIMS }, (_, n) => n + 1).toSpliced(CLAIMS / 2, 0, CLAIMS / 2), 'the one that failed again, and then those behind it')
})
