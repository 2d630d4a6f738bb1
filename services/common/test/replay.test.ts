import t from 'tap'
import { memberLeft } from '../../../contracts/events/members.ts'
import { REPLAYS, type ReplayDefinition, type ReplayQuestion } from '../../../contracts/replay.ts'
import { claimStoreMembers, reaperMembers } from '../../../contracts/streams.ts'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { createBus, type Bus } from '../bus.ts'
import { on } from '../consume.ts'
import { encodeEvent } from '../envelope.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import type { ServiceName } from '../../../contracts/define.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())
async function busOf (service: ServiceName, access = nats.access(service)): Promise<Bus> {
  const bus = await createBus({ ...access, service, log: createLog(service, 'silent', () => {}), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}
const toReaper = REPLAYS.get('reaper') as ReplayDefinition
const data = { member_id: 'abcdefghijklmnopqrst', wa_jid: '6281200000001@s.whatsapp.net', group_id: '1203630@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' as const }

function question (key: string, sequence: number, changed: Partial<ReplayQuestion> = {}): ReplayQuestion {
  const { headers, body } = encodeEvent(memberLeft, { key, author: 'bot', time: new Date(), data, correlation: undefined, causation: undefined })
  return {
    consumer: reaperMembers.name, sequence, deliveries: 3, subject: `members.${data.member_id}.left`, headers: [...headers].map(([name, [value = '']]): [string, string] => [name, value]),
    body_base64: Buffer.from(body).toString('base64'), by: 'on call', ...changed,
  }
}

t.test('a replay', async (t) => {
  const [reaper, operator, bot] = [await busOf('reaper'), await busOf('operator'), await busOf('bot')]
  const other = await busOf('claim-store')
  const seen: string[] = []
  let working = 0
  let atOnce = 0
  let begun: () => void = () => {}
  let release: () => void = () => {}
  let isFailing = false
  let released = new Promise<void>((resolve) => { release = resolve })
  other.consume(claimStoreMembers, [on(memberLeft, async ({ id }) => { seen.push(`claim-store ${id}`) })])
  const subscription = reaper.consume(reaperMembers, [on(memberLeft, async ({ id }, { sequence, count }) => {
    atOnce = Math.max(atOnce, ++working)
    try {
      if (isFailing) throw new TypeError('a bug')
      if (id.endsWith('held')) {
        begun()
        await released
      }
      seen.push(`${id} ${sequence} ${count}`)
    } finally {
      working--
    }
  })])

  t.same(await operator.request(toReaper, question('one', 77)), { ok: true })
  t.same(seen, ['member.left.v1:one 77 4'], 'reaches the consumer that is meant and no other, as the original at its place')

  isFailing = true
  t.same(await operator.request(toReaper, question('bug', 78)), { ok: false, rejection: 'FAILED', code: 'BUG:TypeError' }, 'brings back what went wrong')
  isFailing = false
  t.match(await operator.request(toReaper, question('forged', 79, { body_base64: Buffer.from('{}').toString('base64') })), { rejection: 'FAILED', code: 'MESSAGE_INVALID' }, 'is checked like every message')
  t.match(await operator.request(toReaper, question('foreign', 79, { subject: 'members.bbbbbbbbbbbbbbbbbbbb.left' })), { rejection: 'FAILED', code: 'MESSAGE_INVALID' })
  t.same(await operator.request(toReaper, question('elsewhere', 80, { consumer: claimStoreMembers.name })), { ok: false, rejection: 'NOT_CONSUMED' })
  t.same(await operator.request(toReaper, question('newer', 81, { headers: question('newer', 81).headers.map(([name, value]) => [name, name === 'ce-type' ? 'klaim.member.left.v9' : value]) })), { ok: false, rejection: 'NOT_CONSUMED' }, 'of a newer version is for its successor')
  await t.rejects(operator.request(toReaper, question('large', 82, { body_base64: 'A'.repeat(100_000) })), { code: 'QUESTION_INVALID' }, 'has a size')

  const first = new Promise<void>((resolve) => { begun = resolve })
  await bot.publish(memberLeft, { key: 'held', data })
  await first
  const waiting = operator.request(toReaper, question('behind', 90))
  t.same(await operator.request(toReaper, question('behind', 90)), { ok: false, rejection: 'BUSY' }, 'of what is being replayed is for later')
  release()
  t.same(await waiting, { ok: true })
  t.equal(atOnce, 1, 'waits for its turn behind what is delivered')

  released = new Promise<void>((resolve) => { release = resolve })
  const begins = new Promise<void>((resolve) => { begun = resolve })
  const last = operator.request(toReaper, question('again:held', 91))
  await begins
  const stopped = subscription.stop()
  t.same(await operator.request(toReaper, question('late', 92)), { ok: false, rejection: 'NOT_CONSUMED' }, 'is refused by who stops')
  release()
  t.same(await last, { ok: true }, 'that is in hand is brought to its end')
  await stopped

  await t.rejects(bot.request({ ...toReaper, timeoutMs: 1_000 }, question('bot', 93)), 'is asked for by nobody but the operator')
  t.notOk(seen.some((line) => line.includes('v1:bot ')))
})
