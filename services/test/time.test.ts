// Clocks that are wrong, days that nobody was there, and schedules that fire when they should not: nobody loses a server early, and nobody
// who is in the group loses one at all. What is pure about it is in the tests of claim.ts, policy.ts and brake.ts.
import t from 'tap'
import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { deletionCancelled, deletionScheduled, deletionStarted, departureKey } from '../../contracts/events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, pendingSubject } from '../../contracts/events/deletions.ts'
import { messageOutbound } from '../../contracts/events/messages.ts'
import { getBrake } from '../../contracts/requests.ts'
import { movedAt } from '../claim-store/claim.ts'
import { openLedger } from '../claim-store/ledger.ts'
import { createMac } from '../claim-store/mac.ts'
import { Projection } from '../claim-store/projection.ts'
import { eventId } from '../common/envelope.ts'
import { createLog } from '../common/log.ts'
import { SKEW_MS_MAX } from '../common/nats-clock.ts'
import { wib } from '../common/wib.ts'
import { LEDGER_KEYS, SERVER, timeline, until, type Clocked } from './timeline.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const GRACE_MS = 1_000
const iso = (at: number): string => new Date(at).toISOString()

const SKEWS: ReadonlyArray<readonly [Clocked, number]> = [
  ['claim-store', 10 * MINUTE], ['claim-store', -10 * MINUTE], ['claim-store', -5 * HOUR], ['reaper', 10 * MINUTE], ['reaper', -10 * MINUTE], ['reaper', 5 * HOUR],
  ['notifier', 5 * HOUR], ['bot', 10 * MINUTE], ['bot', -10 * MINUTE], ['bot', -5 * HOUR], ['bot', 5 * HOUR],
]

for (const [service, wrongMs] of SKEWS) {
  t.test(`the clock of ${service} steps by ${wrongMs / MINUTE} minutes and back`, async (t) => {
    const { wrongMs: clocks, somebody, said, counted, deadLetters } = await timeline(t, { graceMs: GRACE_MS })
    const [absent, back] = [somebody(), somebody()]
    await absent.claims()
    await absent.is('active')
    clocks[service] = wrongMs
    await back.claims()
    await back.is('active')
    t.pass('a claim is made meanwhile')

    const leftAt = Date.now()
    await absent.leaves()
    await back.leaves()
    const due = Date.parse((await absent.is('deleting')).deletion_scheduled_at ?? '')
    await back.is('deleting')
    t.ok(due >= leftAt + GRACE_MS && due <= Date.now() + GRACE_MS, `the promised time is the right one (${due - leftAt - GRACE_MS} ms after it)`)
    const warning = await until('the warning', async () => (await said(messageOutbound, absent.claim_id)).find(({ data }) => data.kind === 'leave_warning'))
    t.ok(warning.data.parts[0]?.includes(wib(new Date(due), 'id')), 'and the warning names it')
    await back.returns()
    await back.is('active')

    const isVeto = service === 'claim-store' || service === 'reaper'
    if (isVeto) {
      await delay(due + 1_200 - Date.now())
      t.same(await said(deletionStarted), [], 'nothing is deleted while nobody knows the time')
      if (service === 'reaper') {
        t.same(await said(deletionConfirmed), [], 'nor confirmed')
        t.ok(await counted('reaper', 'klaim_deletion_verdicts_total', { verdict: 'clock' }) > 0, 'and that is why')
      }
    }
    clocks[service] = 0
    const [started] = await until('the deletion', async () => {
      const found = await said(deletionStarted)
      return found.length > 0 ? found : undefined
    })
    t.equal(started?.data.delete_job_id, absent.job, 'afterwards the absent one goes')
    t.ok((started?.storedAt ?? 0) >= due, 'not before the promised time')
    for (const { data } of await said(deletionConfirmed)) t.ok(Math.abs(Date.parse(data.absent_at) - (started?.storedAt ?? 0)) < 10_000, 'by an absence that was read then')
    await back.is('active')
    t.same([await counted('claim-store', 'klaim_messages_total', { consumer: 'claim-store-deletions', result: 'retried' }), await deadLetters()], [0, 0], 'and nothing was tried in vain')
  })
}

t.test('the metric says by how much', async (t) => {
  const { wrongMs, busOf } = await timeline(t, { isAway: true })
  const bus = await busOf('notifier', () => new Date(Date.now() + wrongMs.notifier))
  t.ok(Math.abs(bus.clock.skewMs() ?? Infinity) < 1_000, 'nothing, where the clock is right')
  wrongMs.notifier = -5 * HOUR
  t.ok(Math.abs((bus.clock.skewMs() ?? 0) + 5 * HOUR) < 1_000, 'a step is seen at once')
  t.ok(Math.abs(bus.clock.now().getTime() - Date.now()) < 1_000, "and NATS's time holds instead")
  wrongMs.notifier = SKEW_MS_MAX / 2
  t.same([bus.clock.isSkewed(), Math.abs(bus.clock.now().getTime() - Date.now() - SKEW_MS_MAX / 2) < 1_000], [false, true], 'what clocks differ by anyway changes nothing')
})

t.test('when a movement happened', async (t) => {
  const stored = Date.parse('2026-11-24T12:00:00Z')
  t.equal(movedAt(stored - 30_000, stored, 'roster'), stored - 30_000, 'is what the bot says')
  t.equal(movedAt(stored + 30_000, stored, 'roster'), stored, 'but never later than it was told')
  t.same([-5 * HOUR, 5 * HOUR, -10 * MINUTE].map((wrong) => movedAt(stored + wrong, stored, 'roster')), [stored, stored, stored], 'and not by a clock that is wrong')
  t.same([movedAt(stored - 3 * HOUR, stored, 'webhook'), movedAt(stored + MINUTE, stored, 'webhook')], [stored - 3 * HOUR, stored], 'an outside bot may tell late')
})

t.test('a mass leave told by a bot whose clock is two days behind trips the brake', async (t) => {
  const { wrongMs, somebody, reader, said, start } = await timeline(t, { graceMs: GRACE_MS, isAway: true })
  wrongMs.bot = -2 * DAY
  await start()
  const crowd = Array.from({ length: 6 }, somebody)
  for (const member of crowd) await member.claims()
  for (const member of crowd) await member.is('active')
  for (const member of crowd) await member.leaves()
  const last = crowd.at(-1)
  const { releases_at: releasesAt } = await until('the brake', async () => {
    const brake = await reader.request(getBrake, {})
    return brake.tripped ? brake : undefined
  })
  t.ok(Math.abs(Date.parse(releasesAt ?? '') - Date.now() - DAY) < 10_000, 'for 24 hours from now')
  await until('the last is put off', async () => (await said(deletionPostponed, last?.claim_id)).find(({ data }) => data.reason === 'brake'))
  t.same(await said(deletionStarted, last?.claim_id), [])
})

t.test('after five days away', async (t) => {
  const { start, busOf, somebody, said, present, reader, deadLetters } = await timeline(t, { graceMs: 4 * HOUR, isAway: true })
  const crowd = Array.from({ length: 8 }, somebody)
  const [returned, recent] = [crowd[6], crowd[7]]
  if (!returned || !recent) throw new Error('unreachable')
  // As claim-store decided it then: its own ledger by its own clock of five days ago, and the schedules that NATS kept.
  const store = await busOf('claim-store')
  let then = Date.now() - 5 * DAY
  const ledger = await openLedger({ bus: store, log: createLog('claim-store', 'silent', () => {}), projection: new Projection(), mac: createMac(LEDGER_KEYS), from: 0, reflected: 0, now: () => new Date(then) })
  const reaper = await busOf('reaper')
  for (const [n, { member_id, claim_id, wa_jid, asked, job }] of crowd.entries()) {
    then = Date.now() - 5 * DAY - HOUR
    await ledger.execute(member_id, { type: 'Request', now: then, ...asked }, {})
    await ledger.execute(member_id, { type: 'ServerReady', claimId: claim_id, server: SERVER }, { causation: `server.ready.v1:${claim_id}` })
    then = Date.now() - 5 * DAY
    if (claim_id === recent.claim_id) continue
    await ledger.execute(member_id, { type: 'Leave', movement: { sequence: n + 1, at: then }, now: then, graceMs: 4 * HOUR }, { causation: `member.left.v1:${claim_id}` })
    const due = then + 4 * HOUR
    await reaper.schedule(deletionDue, { key: `${job}:${due}`, data: { delete_job_id: job, claim_id, member_id, due_at: iso(due) }, at: new Date(due), on: pendingSubject(job), correlation: claim_id, causation: eventId(deletionScheduled, departureKey(job, due)) })
    present.delete(wa_jid)
  }
  await ledger.close()
  const before = (await said(deletionScheduled)).length
  t.equal(before, 7, 'seven deletions fell due in the first hours')
  const startedAt = Date.now()
  await start()

  for (const { claim_id } of crowd.slice(0, 7)) {
    const again = await until('a new promise', async () => (await said(deletionScheduled, claim_id)).find(({ data }) => data.reason === 'outage'))
    const due = Date.parse(again.data.deletion_scheduled_at)
    t.ok(due >= startedAt + HOUR && due < Date.now() + HOUR + 1_000, 'each has an hour from the start')
    const warning = await until('a new warning', async () => (await said(messageOutbound, claim_id)).find(({ data }) => data.kind === 'leave_warning' && data.expires_at === again.data.deletion_scheduled_at))
    t.match(warning.data.parts[0], wib(new Date(due), 'id'), 'and is told so')
  }
  await returned.returns()
  await returned.is('active')
  t.equal((await said(deletionCancelled, returned.claim_id)).length, 1, 'who came back meanwhile keeps the server')
  // Of this one the bot learns only now.
  await recent.leaves()
  const due = Date.parse((await recent.is('deleting')).deletion_scheduled_at ?? '')
  t.ok(due >= startedAt + 4 * HOUR, 'who left while nobody looked has the whole grace')
  await delay(1_500)
  t.same([await said(deletionConfirmed), await said(deletionStarted)], [[], []], 'nobody is deleted at the start')
  t.equal((await said(deletionScheduled)).length, before + 7 + 1, 'and nobody is promised twice')
  for (const { job } of crowd.slice(0, 6)) t.not(await reader.lastSequence('DELETIONS', pendingSubject(job)), 0, 'the new time is scheduled')
  t.equal(await deadLetters(), 0)
})

t.test('a schedule', async (t) => {
  const { somebody, said, reader, busOf, deadLetters, counted } = await timeline(t, { graceMs: GRACE_MS })
  const reaper = await busOf('reaper')
  const fires = async ({ job, claim_id, member_id }: ReturnType<typeof somebody>, dueAt: string, n: number): Promise<void> => {
    const before = (await said(deletionDue, claim_id)).filter(({ data }) => data.due_at === dueAt).length
    await reaper.schedule(deletionDue, { key: `${job}:${n}`, data: { delete_job_id: job, claim_id, member_id, due_at: dueAt }, at: new Date(Date.now() - 5 * DAY), on: pendingSubject(job), correlation: claim_id, causation: eventId(deletionScheduled, departureKey(job, Date.parse(dueAt))) })
    await until('it fires', async () => (await said(deletionDue, claim_id)).filter(({ data }) => data.due_at === dueAt).length > before || await reader.lastSequence('DELETIONS', pendingSubject(job)) === 0 ? true : undefined)
  }
  const idle = async (): Promise<void> => {
    await until('every wake-up is handled', async () => {
      const { num_pending: pending, num_ack_pending: inHand } = await reader.raw.jsm.consumers.info('DELETIONS', 'reaper-due')
      return pending + inHand === 0 ? true : undefined
    })
  }
  const [cancelled, twice, lost] = [somebody(), somebody(), somebody()]
  for (const member of [cancelled, twice, lost]) {
    await member.claims()
    await member.is('active')
  }

  await cancelled.leaves()
  const { deletion_scheduled_at: promised } = await cancelled.is('deleting')
  await cancelled.returns()
  await cancelled.is('active')
  // The worst case: absent by the roster, and the return that cancelled it is all that stands.
  await cancelled.leaves()
  const second = Date.parse((await cancelled.is('deleting')).deletion_scheduled_at ?? '')
  await fires(cancelled, promised ?? '', 1)
  await idle()
  t.same(await said(deletionStarted, cancelled.claim_id), [], 'that fires after it was cancelled deletes nobody, though another departure stands')
  t.ok(Date.now() < second, 'which is not due yet')
  await cancelled.returns()
  await cancelled.is('active')

  await twice.leaves()
  const { deletion_scheduled_at: dueAt } = await twice.is('deleting')
  await delay(Math.max(0, Date.parse(dueAt ?? '') - Date.now()))
  for (const n of [1, 2, 3]) await fires(twice, dueAt ?? '', n)
  await until('the deletion', async () => (await said(deletionStarted, twice.claim_id))[0])
  await idle()
  t.equal((await said(deletionStarted, twice.claim_id)).length, 1, 'that fires again and again starts one deletion')

  await lost.leaves()
  await until('it is there', async () => await reader.lastSequence('DELETIONS', pendingSubject(lost.job)) > 0 ? true : undefined)
  await reader.raw.jsm.streams.purge('DELETIONS', { filter: pendingSubject(lost.job) })
  const [started] = [await until('the deletion', async () => (await said(deletionStarted, lost.claim_id))[0])]
  t.ok(started.storedAt >= Date.parse((await said(deletionScheduled, lost.claim_id))[0]?.data.deletion_scheduled_at ?? ''), 'that got lost delays nothing: the sweep makes it again, or finds the deletion')
  t.equal(await deadLetters(), 0)
  t.ok(await counted('reaper', 'klaim_deletion_verdicts_total', { verdict: 'drop' }) > 0)
})

t.test('the zone of a process changes nothing', async (t) => {
  const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  const asked = `
    const { createWording } = await import(${at('../notifier/wording.ts')})
    const { loadMessages } = await import(${at('../common/messages.ts')})
    const { dueAt, movedAt } = await import(${at('../claim-store/claim.ts')})
    const { beforeRoster } = await import(${at('../reaper/policy.ts')})
    const wording = createWording(loadMessages(new URL(${at('../../config/messages')}).pathname), 'https://panel.klaim.invalid')
    const found = ['2026-11-01T05:59:30Z', '2026-11-01T06:00:30Z', '2027-03-14T06:59:30Z', '2027-03-14T07:00:30Z', '2026-12-31T17:30:00Z'].map((time) => {
      const left = Date.parse(time)
      const due = dueAt(movedAt(left, left + 1000, 'roster'), left, 4 * 3600000)
      const claim = { status: 'deleting', delete_job_id: 'x-d1', deletion_started: false, deletion_scheduled_at: new Date(due).toISOString() }
      const verdicts = [due - 1, due].map((now) => beforeRoster('x-d1', claim, { now, brakeIsOn: false, paceAllows: true, postponedAt: null, outageMs: 4 * 3600000 }))
      const texts = ['id', 'en'].map((language) => wording.deletionScheduled({ claim_id: 'x', member_id: 'm', wa_jid: '6281200000001@s.whatsapp.net', language, delete_job_id: 'x-d1', deletion_scheduled_at: claim.deletion_scheduled_at, left_at: time, reason: 'left' }))
      return { graceMs: due - left, verdicts, texts }
    })
    console.log(JSON.stringify({ zone: new Date(1793512800000).getHours(), found }))`
  const told = await Promise.all(['UTC', 'America/New_York', 'Asia/Jakarta'].map(async (zone) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', asked], { env: { PATH: process.env['PATH'], TZ: zone } })
    return JSON.parse(stdout) as { zone: number, found: Array<{ graceMs: number, verdicts: unknown[], texts: Array<{ parts: string[] }> }> }
  }))
  t.equal(new Set(told.map(({ zone }) => zone)).size, 3, 'three zones')
  const [utc, newYork, jakarta] = told.map(({ found }) => found)
  t.same(newYork, utc, 'not in the hours in which New York sets its clocks')
  t.same(jakarta, utc, 'nor in Jakarta')
  t.same(new Set(utc?.map(({ graceMs }) => graceMs)), new Set([4 * HOUR]), 'four hours are four hours')
  t.same(utc?.map(({ texts }) => /\d\d\.\d\d WIB/.exec(texts[0]?.parts[0] ?? '')?.[0]), ['16.59 WIB', '17.00 WIB', '17.59 WIB', '18.00 WIB', '04.30 WIB'], 'and the time told is that of western Indonesia')
})
