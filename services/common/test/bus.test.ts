import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { deletionDue, deletionUnscheduled, pendingSubject } from '../../../contracts/events/deletions.ts'
import { eraseMember, getBrake, listClaims, setBrake } from '../../../contracts/requests.ts'
import { brakeBucket, reaperDue, reaperMembers } from '../../../contracts/streams.ts'
import { answering, createBus, type Bus } from '../bus.ts'
import { on, type Delivery } from '../consume.ts'
import { permanent, transient } from '../fault.ts'
import { createLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { because } from './because.ts'
import type { ServiceName } from '../../../contracts/define.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())

async function busOf (t: Test, service: ServiceName): Promise<Bus> {
  const lines: string[] = []
  const bus = await createBus({ ...nats.playing(service), log: createLog(service, 'trace', (line) => lines.push(line)), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}

const member = 'abcdefghijklmnopqrst'
const leaving = (member_id = member) => ({ member_id, wa_jid: '6281200000001@s.whatsapp.net', group_id: '1203630@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' as const })
const fast = { ...reaperMembers, delayMsFirst: 5, deliveriesMax: 3 }

t.test('a fact said twice is stored once', async (t) => {
  const bot = await busOf(t, 'bot')
  const first = await bot.publish(memberLeft, { key: 'twice', data: leaving() })
  const second = await bot.publish(memberLeft, { key: 'twice', data: leaving() })
  t.same([first.duplicate, second.duplicate, second.sequence], [false, true, first.sequence])
  await t.rejects(bot.publish(memberLeft, { key: 'bad', data: { ...leaving(), member_id: 'a.b' } }), { code: 'MESSAGE_INVALID' }, 'wrong data is not published')
})

t.test('of two writers who saw the same history, one is stored', async (t) => {
  const bot = await busOf(t, 'bot')
  const filter = 'members.bbbbbbbbbbbbbbbbbbbb.*'
  const data = leaving('bbbbbbbbbbbbbbbbbbbb')
  const [one, two] = await Promise.all([bot.append(memberLeft, { key: 'one', data }, filter, 0), bot.append(memberJoined, { key: 'two', data }, filter, 0)])
  t.same([one.kind, two.kind].toSorted(), ['conflict', 'stored'])
  const last = await bot.last('MEMBERS', filter, [memberLeft, memberJoined])
  t.equal(last?.sequence, one.kind === 'stored' ? one.sequence : two.kind === 'stored' ? two.sequence : -1, 'the last message is found by filter')
  t.equal(last?.event.id, one.kind === 'stored' ? one.id : two.id)
})

t.test('a handler', async (t) => {
  const bot = await busOf(t, 'bot')
  const reaper = await busOf(t, 'reaper')
  const deliveries: Array<{ key: string, count: number }> = []
  const wanted = new Map<string, () => void>()
  const fate: Record<string, (count: number) => Promise<void>> = {
    busy: async (count) => { if (count < 3) throw transient('TEST_BUSY', 'try again') },
    hopeless: async () => { throw permanent('TEST_HOPELESS', 'never') },
    bug: async () => { throw new TypeError('undefined is not a function') },
    fine: async () => {},
  }
  const subscription = reaper.consume(fast, [on(memberLeft, async (event, delivery: Delivery) => {
    const key = event.id.split(':')[1] ?? ''
    deliveries.push({ key, count: delivery.count })
    await fate[key]?.(delivery.count)
    wanted.get(key)?.()
  })])
  const handled = (key: string) => new Promise<void>((resolve) => wanted.set(key, resolve))
  const deadLetters = async () => (await reaper.raw.jsm.streams.info('DEAD_LETTERS')).state.messages

  const busy = handled('busy')
  await bot.publish(memberLeft, { key: 'busy', data: leaving() })
  await busy
  t.same(deliveries.filter(({ key }) => key === 'busy').map(({ count }) => count), [1, 2, 3], 'is called again after a transient fault')

  for (const key of ['hopeless', 'bug', 'fine']) {
    const before = handled(key)
    await bot.publish(memberLeft, { key, data: leaving() })
    if (key === 'fine') await before
  }
  t.equal(deliveries.filter(({ key }) => key === 'hopeless').length, 1, 'is not called again after a permanent fault')
  t.equal(deliveries.filter(({ key }) => key === 'bug').length, 3, 'is called a bounded number of times where it has a bug')
  t.equal(await deadLetters(), 2, 'leaves dead letters')
  const dead = await reaper.raw.jsm.direct.getMessage('DEAD_LETTERS', { last_by_subj: `dead.members.${member}.left` })
  t.equal(dead?.header.get('Klaim-Dead-Reason'), 'DELIVERIES_EXHAUSTED')
  t.equal(dead?.header.get('ce-id'), 'member.left.v1:bug', 'which keep their headers')

  const last = handled('fine')
  await bot.raw.js.publish(`members.${member}.left`, 'not json')
  const forged = await busOf(t, 'notifier')
  await t.resolves(forged.publish(memberLeft, { key: 'forged', data: leaving() }))
  await bot.publish(memberLeft, { key: 'fine:2', data: leaving() })
  await last
  t.equal(await deadLetters(), 4, 'never sees what is no event, nor what was said by somebody who may not')
  await subscription.stop()
})

t.test('where only a few are to be handled at once, the others wait', async (t) => {
  const [bot, reaper] = [await busOf(t, 'bot'), await busOf(t, 'reaper')]
  const few = { ...reaperMembers, name: 'few-test', maxAckPending: 10, atOnce: 2 }
  await reaper.raw.jsm.consumers.add('MEMBERS', { durable_name: few.name, ack_policy: 'explicit', deliver_policy: 'new', max_ack_pending: few.maxAckPending })
  let [atOnce, most, done] = [0, 0, 0]
  const going = Promise.withResolvers<void>()
  const all = Promise.withResolvers<void>()
  reaper.consume(few, [on(memberLeft, async () => {
    most = Math.max(most, ++atOnce)
    await going.promise
    atOnce--
    if (++done === 5) all.resolve()
  })])
  for (let n = 0; n < 5; n++) await bot.publish(memberLeft, { key: `few-${n}`, data: leaving() })
  while ((await reaper.raw.jsm.consumers.info('MEMBERS', few.name)).num_ack_pending < 5) await new Promise(setImmediate)
  going.resolve()
  await all.promise
  t.equal(most, 2)
})

t.test('work longer than the acknowledgement wait is not delivered again', async (t) => {
  const bot = await busOf(t, 'bot')
  const slow = { ...reaperMembers, name: 'slow-test', ackWaitMs: 300 }
  const reaper = await busOf(t, 'reaper')
  await reaper.raw.jsm.consumers.add('MEMBERS', { durable_name: 'slow-test', ack_policy: 'explicit', ack_wait: 300e6, deliver_policy: 'new', max_ack_pending: 1 })
  let calls = 0
  const done = new Promise<void>((resolve) => {
    reaper.consume(slow, [on(memberLeft, async () => { calls++; await delay(1_000); resolve() })])
  })
  await bot.publish(memberLeft, { key: 'slow', data: leaving() })
  await done
  t.equal(calls, 1)
})

t.test('a schedule falls due, is replaced, is cancelled', async (t) => {
  const reaper = await busOf(t, 'reaper')
  const claim_id = randomUUID()
  const [job, kept] = [`${claim_id}-d1`, `${claim_id}-d2`]
  const data = (delete_job_id: string) => ({ delete_job_id, claim_id, member_id: member, due_at: new Date().toISOString() })
  const later = new Date(Date.now() + 60_000)
  await reaper.schedule(deletionDue, { key: `${job}:1`, data: data(job), at: later, on: pendingSubject(job) })
  await reaper.publish(deletionUnscheduled, { key: job, data: { delete_job_id: job, claim_id, member_id: member }, cancelSchedule: pendingSubject(job), ttlS: 60 })
  t.equal(await reaper.lastSequence('DELETIONS', pendingSubject(job)), 0, 'a cancelled schedule is gone')
  const causation = await because(reaper, deletionDue, data(kept))
  await reaper.schedule(deletionDue, { key: `${kept}:1`, causation, data: data(kept), at: later, on: pendingSubject(kept) })
  const due = new Promise<{ scheduler: string | undefined, id: string }>((resolve) => {
    reaper.consume(reaperDue, [on(deletionDue, async (event, { scheduler }) => { resolve({ scheduler, id: event.id }) })])
  })
  await reaper.schedule(deletionDue, { key: `${kept}:2`, causation, data: data(kept), at: new Date(), on: pendingSubject(kept) })
  t.same(await due, { scheduler: pendingSubject(kept), id: `deletion.due.v1:${kept}:2` }, 'the replacement fires, under the headers it was stored with')
})

t.test('a question', async (t) => {
  const reaper = await busOf(t, 'reaper')
  const operator = await busOf(t, 'operator')
  const off = { ok: true as const, tripped: false, tripped_at: null, reason: null, releases_at: null }
  await t.rejects(operator.request(getBrake, {}), { code: 'REAPER_AWAY', kind: 'transient' }, 'that nobody answers is a transient fault')
  await reaper.respond([answering(getBrake, async () => off), answering(setBrake, async () => { throw transient('NATS_UNAVAILABLE', 'gone') })])
  t.same(await operator.request(getBrake, {}), off, 'is answered')
  await t.rejects(operator.request(setBrake, { tripped: true, by: 'x', why: 'y' }), { code: 'NATS_UNAVAILABLE', kind: 'transient' }, "brings back the answerer's code")
  await t.rejects(operator.request(setBrake, { tripped: 'no' } as never), { code: 'QUESTION_INVALID', kind: 'permanent' }, 'that is malformed is refused')
})

t.test('a question that found no answer is asked again where that does no harm', async (t) => {
  const claimStore = await busOf(t, 'claim-store')
  const operator = await busOf(t, 'operator')
  const asked = { list: 0, erase: 0 }
  // As if a node of NATS had been lost with the first question.
  const lost = new Promise<never>(() => {})
  await claimStore.respond([
    answering(listClaims, async () => asked.list++ === 0 ? await lost : { ok: true as const, claims: [] }),
    answering(eraseMember, async () => asked.erase++ === 0 ? await lost : { ok: true as const, member_id: member }),
  ])
  t.same(await operator.request(listClaims, {}), { ok: true, claims: [] })
  t.equal(asked.list, 2)
  await t.rejects(operator.request(eraseMember, { member_id: member, by: 'x', why: 'y' }), { code: 'CLAIM_STORE_AWAY' })
  t.equal(asked.erase, 1, 'and only there')
})

t.test('so is one that could not be answered just then', async (t) => {
  const claimStore = await busOf(t, 'claim-store')
  const operator = await busOf(t, 'operator')
  let asked = 0
  await claimStore.respond([answering(listClaims, async () => {
    if (asked++ === 0) throw transient('LEDGER_CONTENDED', 'in a moment')
    return { ok: true as const, claims: [] }
  })])
  t.same(await operator.request(listClaims, {}), { ok: true, claims: [] })
  t.equal(asked, 2)
})

t.test('a bucket gives a key to one of many', async (t) => {
  const reaper = await busOf(t, 'reaper')
  const bucket = await reaper.bucket(brakeBucket)
  const revisions = await Promise.all(Array.from({ length: 20 }, () => bucket.create('one', 'mine')))
  t.equal(revisions.filter((revision) => revision !== null).length, 1)
  const entry = await bucket.get('one')
  t.equal(await bucket.update('one', 'x', (entry?.revision ?? 0) + 100), null, 'a stale writer is told')
  t.ok(await bucket.update('one', 'x', entry?.revision ?? 0))
  await bucket.delete('one')
  t.equal(await bucket.get('one'), null)
  t.ok(await bucket.create('one', 'again'), 'a deleted key can be made again')
  t.same(await bucket.keys(), ['one'])
})

t.test('an outage of the server loses nothing that was acknowledged and ends nothing', async (t) => {
  const bot = await busOf(t, 'bot')
  const reaper = await busOf(t, 'reaper')
  const seen: string[] = []
  let found: () => void = () => {}
  reaper.consume(reaperMembers, [on(memberLeft, async (event) => { seen.push(event.id); if (event.id.endsWith('after')) found() })])
  const after = new Promise<void>((resolve) => { found = resolve })
  await nats.kill('SIGKILL')
  await t.rejects(bot.publish(memberLeft, { key: 'meanwhile', data: leaving() }), { code: 'NATS_UNAVAILABLE' }, 'a publish during the outage says so')
  await nats.restart()
  for (let attempt = 0; ; attempt++) {
    try { await bot.publish(memberLeft, { key: 'after', data: leaving() }); break } catch (error) { if (attempt > 20) throw error }
  }
  await after
  t.ok(seen.includes('member.left.v1:after'), 'the consumer goes on by itself')
})
