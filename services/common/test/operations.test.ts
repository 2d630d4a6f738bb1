import t from 'tap'
import { randomUUID } from 'node:crypto'
import { operatorActed, type Acted } from '../../../contracts/events/operations.ts'
import { deleteStrayServer, setBrake, type RepairAnswer } from '../../../contracts/requests.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createBus, type Bus } from '../bus.ts'
import type { ServiceName } from '../../../contracts/define.ts'
import { decodeEvent, type Event } from '../envelope.ts'
import { permanent } from '../fault.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { onWord } from '../operations.ts'
import { pageOf } from '../page.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
async function busOf (service: ServiceName): Promise<Bus> {
  const bus = await createBus({ ...nats.access(service), service, log: createLog(service, 'silent', () => {}), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}
const [provisioner, reaper, operator] = [await busOf('provisioner'), await busOf('reaper'), await busOf('operator')]

const memberId = 'abcdefghijklmnopqrst'
const claimId = randomUUID()
const asked = { request: deleteStrayServer, by: 'on call', why: 'the panel was restored', about: { memberId, claimId }, detail: 'server 7' }
/** What stands under a subject, oldest first. */
async function said (service: 'provisioner' | 'reaper', about: string, from = 1): Promise<Array<Event & { data: Acted }>> {
  const found = await pageOf(operator.raw.jsm, 'OPERATIONS', { from, filter: `operations.${service}.${about}`, size: 50 })
  return found.flatMap(({ subject, header, data }) => (decodeEvent([operatorActed(service)], { subject, headers: header, data })?.event ?? []) as Event & { data: Acted })
}
const length = async (): Promise<number> => (await operator.raw.jsm.streams.info('OPERATIONS')).state.last_seq

t.test('what an operator has done', async (t) => {
  let before: readonly Event[] = []
  const answer = await onWord(provisioner, asked, async (wordId): Promise<RepairAnswer> => {
    before = await said('provisioner', memberId)
    t.equal(before[0]?.id, wordId, 'is said before it is done, and may be named as a cause')
    return { ok: true, outcome: 'done' }
  })
  t.same(answer, { ok: true, outcome: 'done' })
  const [first, second] = await said('provisioner', memberId)
  t.equal(before.length, 1)
  t.same(first?.data, { operation_id: first?.data.operation_id, operation: 'delete_server', member_id: memberId, claim_id: claimId, by: 'on call', why: 'the panel was restored', detail: 'server 7' }, 'by whom, why, what and about whom')
  t.same(second?.data, { ...first?.data, outcome: 'done' }, 'and what came of it before it is answered')
  t.same([first?.correlation, second?.causation], [claimId, first?.id])
})

t.test('whatever comes of it', async (t) => {
  const from = await length() + 1
  const outcomes: Array<() => Promise<RepairAnswer>> = [
    async () => ({ ok: true, outcome: 'already' }), async () => ({ ok: false, rejection: 'BRAKE_ON' }), async () => { throw permanent('PANEL_REFUSED', 'a test') }, async () => { throw new TypeError('a bug') },
  ]
  for (const outcome of outcomes) await onWord(provisioner, asked, outcome).catch(() => {})
  t.same((await said('provisioner', memberId, from)).map(({ data }) => data.outcome), [undefined, 'already', undefined, 'BRAKE_ON', undefined, 'PANEL_REFUSED', undefined, 'INTERNAL'], 'is said')
  await t.rejects(onWord(provisioner, asked, async () => { throw permanent('PANEL_REFUSED', 'a test') }), { code: 'PANEL_REFUSED' }, 'and thrown as it was')
})

t.test('what is about nobody', async (t) => {
  await onWord(reaper, { request: setBrake, by: 'on call', why: 'so says 6281200000001, +62 812 0000 0001', detail: 'on' }, async () => ({ ok: true as const }))
  const [first] = await said('reaper', 'none')
  t.equal(first?.data.why, 'so says [number], [number]', 'holds no number, whatever was typed')
  t.notOk('claim_id' in (first?.data ?? {}))
})

t.test('a word that cannot be stored', async (t) => {
  const before = await length()
  let isDone = false
  await t.rejects(onWord(reaper, asked, async () => {
    isDone = true
    return { ok: true as const }
  }), { code: 'NATS_UNAVAILABLE' }, 'as that of another service, which nobody may say in its name')
  t.notOk(isDone, 'does nothing')
  t.equal(await length(), before)
})
