import t, { type Test } from 'tap'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import type { EventDefinition, ServiceName } from '../../../contracts/define.ts'
import { claimErased, deletionCancelled, deletionScheduled } from '../../../contracts/events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted, deletionUnscheduled, pendingSubject } from '../../../contracts/events/deletions.ts'
import { memberLeft } from '../../../contracts/events/members.ts'
import { brakeBucket } from '../../../contracts/streams.ts'
import { getBrake, getClaim, listClaims, rosterSummary, scheduleDeletion, setBrake, type ClaimView } from '../../../contracts/requests.ts'
import { answering, createBus, type Bus } from '../../common/bus.ts'
import { createLog } from '../../common/log.ts'
import { sayCaused } from '../../common/test/because.ts'
import { createMetrics } from '../../common/metrics.ts'
import { AT_REST } from '../brake.ts'
import { createBrakeStore } from '../brake-store.ts'
import { start } from '../main.ts'

const SECRET = 's'.repeat(32)
const ALL: EventDefinition[] = [deletionDue, deletionConfirmed, deletionRefuted, deletionPostponed, deletionUnscheduled]
const silent = (service: string) => createLog(service, 'trace', () => {})
const member_id = 'abcdefghijklmnopqrst'
const wa_jid = '6281200000001@s.whatsapp.net'

/** A whole world for one test: NATS, claim-store's answers, and the bot's port. */
async function world (t: Test, settings: { graceMs?: number, perMinute?: number, outageMs?: number, sweepEveryMs?: number } = {}) {
  const nats = await startKlaimNats()
  t.teardown(async () => { await nats.close() })
  const bus = async (service: ServiceName): Promise<Bus> => {
    const made = await createBus({ ...nats.playing(service), log: silent(service), metrics: createMetrics(service), now: () => new Date() })
    t.teardown(() => made.close())
    return made
  }
  const claims = new Map<string, ClaimView>()
  const roster = { membership: 'absent' as 'absent' | 'present' | 'unknown' | 'down', asked: 0, live: true }
  const bot = createServer((request, response) => {
    request.resume().on('end', () => {
      roster.asked++
      if (roster.membership === 'down' || request.headers['x-internal-secret'] !== SECRET) { response.writeHead(500).end(); return }
      response.end(JSON.stringify({ membership: roster.membership, member_id, wa_jid, seen_at: new Date().toISOString() }))
    })
  }).listen(0, '127.0.0.1')
  await once(bot, 'listening')
  const store = await bus('claim-store')
  await store.respond([
    answering(getClaim, async (question): Promise<{ ok: true, claim: ClaimView } | { ok: false, rejection: 'NOT_FOUND' }> => {
      const claim = 'claim_id' in question ? claims.get(question.claim_id) : undefined
      return claim ? { ok: true, claim } : { ok: false, rejection: 'NOT_FOUND' }
    }),
    answering(listClaims, async ({ status }) => ({ ok: true as const, claims: [...claims.values()].filter((claim) => claim.status === status) })),
  ])
  const botBus = await bus('bot')
  await botBus.respond([answering(rosterSummary, async () => ({ ok: true as const, state: 'known' as const, size: 30, seen_at: null, connection: 'open' }))])
  const metrics = createMetrics('reaper')
  const reap = async () => await start({
    ...nats.env('reaper'), BOT_URL: `http://127.0.0.1:${(bot.address() as AddressInfo).port}`, INTERNAL_SECRET: SECRET, GRACE_MS: settings.graceMs ?? 1_000,
    OUTAGE_MS: settings.outageMs ?? 60_000, DELETIONS_PER_MINUTE: settings.perMinute ?? 20, SWEEP_EVERY_MS: settings.sweepEveryMs ?? 200, POSTPONE_MS: 150, BRAKE_DEPARTURES_MIN: 5,
    LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
  }, { log: silent('reaper'), metrics, now: () => new Date() })
  const running = await reap()
  t.teardown(async () => { await running.stop(); bot.closeAllConnections(); bot.close() })

  /** A member left: the ledger's event and its answer, as claim-store gives them. */
  const left = async (dueAt: number, changes: Partial<ClaimView> = {}) => {
    const claim_id = randomUUID()
    const delete_job_id = `${claim_id}-d1`
    const at = new Date(dueAt).toISOString()
    const started = new Date().toISOString()
    claims.set(claim_id, { claim_id, member_id, wa_jid, status: 'deleting', user_id: 1, server_id: 2, allocation_id: 3, deletion_scheduled_at: at, delete_job_id, created_at: started, updated_at: started, last_event_at: started, ...changes })
    const job = { delete_job_id, claim_id, member_id }
    const say = async () => { await sayCaused(store, deletionScheduled, { key: `${delete_job_id}:${dueAt}`, correlation: claim_id, data: { claim_id, member_id, wa_jid, language: 'id', delete_job_id, deletion_scheduled_at: at, left_at: at, reason: 'left' } }) }
    return { ...job, job, say, claim: claims.get(claim_id) as ClaimView }
  }
  /** Resolves with the newest message on the subject, waiting for one. */
  const said = async (definition: EventDefinition, delete_job_id: string) => {
    const subject = definition.subject.replace('{delete_job_id}', delete_job_id)
    for (;;) {
      const found = await store.last('DELETIONS', subject, ALL)
      if (found) return found.event.data as Record<string, string>
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const never = async (definition: EventDefinition, delete_job_id: string) => await store.lastSequence('DELETIONS', definition.subject.replace('{delete_job_id}', delete_job_id)) === 0
  const overdueS = async (): Promise<number> => (await metrics.registry.getSingleMetric('klaim_deletions_overdue_seconds')?.get())?.values[0]?.value ?? Number.NaN
  return { nats, bus, store, claims, roster, left, said, never, overdueS }
}

t.test('an absent member', async (t) => {
  const { left, said, store, roster, claims } = await world(t)
  const due = Date.now() + 700
  const { delete_job_id, claim_id, say } = await left(due)
  await say()
  const confirmed = await said(deletionConfirmed, delete_job_id)
  t.match(confirmed, { claim_id, member_id })
  t.ok(Date.parse(confirmed['absent_at'] ?? '') >= due, 'is confirmed by a roster read after the time had come')
  t.equal(roster.asked > 0, true)
  t.equal(await store.lastSequence('DELETIONS', pendingSubject(delete_job_id)), 0, 'and no schedule is left')
  claims.delete(claim_id)
})

t.test('a member who is in the group after all is refuted, not deleted', async (t) => {
  const { left, said, never, roster } = await world(t)
  roster.membership = 'present'
  const { delete_job_id, say } = await left(Date.now())
  await say()
  await said(deletionRefuted, delete_job_id)
  t.ok(await never(deletionConfirmed, delete_job_id))
})

t.test('a member who is in the group is confirmed all the same where an operator had it decided so', async (t) => {
  const { left, said, never, roster } = await world(t)
  roster.membership = 'present'
  const { delete_job_id, say } = await left(Date.now(), { deletion_even_if_present: true })
  await say()
  t.match(await said(deletionConfirmed, delete_job_id), { even_if_present: true }, 'which is said, because nobody was looked for')
  t.ok(await never(deletionRefuted, delete_job_id))
  t.equal(roster.asked, 0)
})

for (const answer of ['unknown', 'down'] as const) {
  t.test(`nobody is deleted while the roster is ${answer}, and the deletion goes on afterwards`, async (t) => {
    const { left, said, never, roster } = await world(t)
    roster.membership = answer
    const { delete_job_id, say } = await left(Date.now())
    await say()
    t.match(await said(deletionPostponed, delete_job_id), { reason: 'roster_unknown' })
    const asked = roster.asked
    while (roster.asked < asked + 2) await new Promise((resolve) => setTimeout(resolve, 20))
    t.ok(await never(deletionConfirmed, delete_job_id), 'however often it is asked')
    roster.membership = 'absent'
    t.match(await said(deletionConfirmed, delete_job_id), { delete_job_id })
  })
}

t.test('a return takes the schedule away; one that never was is no fault', async (t) => {
  const { left, said, store, never } = await world(t)
  const one = await left(Date.now() + 60_000)
  await one.say()
  while (await store.lastSequence('DELETIONS', pendingSubject(one.delete_job_id)) === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  const two = await left(Date.now() + 60_000, { status: 'active', delete_job_id: null, deletion_scheduled_at: null })
  for (const { claim, claim_id, delete_job_id } of [one, two]) {
    claim.status = 'active'
    claim.delete_job_id = claim.deletion_scheduled_at = null
    await sayCaused(store, deletionCancelled, { key: delete_job_id, data: { claim_id, member_id, wa_jid, language: 'id', delete_job_id, reason: 'returned' } })
    await said(deletionUnscheduled, delete_job_id)
    t.equal(await store.lastSequence('DELETIONS', pendingSubject(delete_job_id)), 0)
  }
  t.ok(await never(deletionConfirmed, one.delete_job_id))
})

t.test('what is put off again and again is as late as the promised time says', async (t) => {
  const { left, said, roster, overdueS } = await world(t)
  roster.membership = 'unknown'
  const { delete_job_id } = await left(Date.now() - 30_000)
  await said(deletionPostponed, delete_job_id)
  // Also by a sweep that came when it had been put off already.
  for (const until = Date.now() + 10_000; Date.now() < until && await overdueS() < 31;) await new Promise((resolve) => setTimeout(resolve, 20))
  const late = await overdueS()
  t.ok(late >= 31 && late < 60, `${late} s`)
})

t.test('a schedule that got lost is made again by the sweep, and what is overdue is judged without one', async (t) => {
  const { left, said, store } = await world(t)
  const future = await left(Date.now() + 60_000)
  const overdue = await left(Date.now() - 1_000)
  while (await store.lastSequence('DELETIONS', pendingSubject(future.delete_job_id)) === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  t.pass('the missing schedule is there again')
  t.match(await said(deletionConfirmed, overdue.delete_job_id), { delete_job_id: overdue.delete_job_id })
})

t.test('a schedule that got lost is made again on an operator\'s word', async (t) => {
  const { left, store, claims, bus } = await world(t, { sweepEveryMs: 3_600_000 })
  const operator = await bus('operator')
  const ask = async (claim_id: string): Promise<string> => await operator.request(scheduleDeletion, { claim_id, by: 'on call', why: 'purged' }).then((answer) => answer.ok ? answer.outcome : answer.rejection)
  const pending = async (job: string): Promise<number> => await store.lastSequence('DELETIONS', pendingSubject(job))
  const lost = await left(Date.now() + 3_600_000)
  await lost.say()
  let first: number
  do first = await pending(lost.delete_job_id)
  while (first === 0)
  await store.raw.jsm.streams.purge('DELETIONS', { filter: pendingSubject(lost.delete_job_id) })
  t.equal(await ask(lost.claim_id), 'done')
  const made = await pending(lost.delete_job_id)
  t.ok(made > first, 'although the stream still knows the first')
  t.equal(await ask(lost.claim_id), 'already', 'once')
  t.equal(await pending(lost.delete_job_id), made)
  for (const [what, changes] of Object.entries({
    'of a claim whose member came back': { status: 'active', delete_job_id: null, deletion_scheduled_at: null }, 'after the point of no return': { deletion_started: true }, 'of a claim that is over': { status: 'deleted' },
  } as Record<string, Partial<ClaimView>>)) {
    const other = await left(Date.now() + 3_600_000, changes)
    t.equal(await ask(other.claim_id), 'NOT_SCHEDULED', `not ${what}`)
    t.equal(await pending(other.delete_job_id), 0)
  }
  t.equal(await ask((await left(Date.now() - 1_000)).claim_id), 'NOT_SCHEDULED', 'nor of what is due: the sweep judges that')
  claims.clear()
  t.equal(await ask(lost.claim_id), 'NOT_SCHEDULED')
})

t.test('after a long outage the member is promised a new time instead of losing the server at once', async (t) => {
  const { left, said, never } = await world(t, { outageMs: 60_000, graceMs: 4 * 3_600_000 })
  const { delete_job_id } = await left(Date.now() - 5 * 24 * 3_600_000)
  const { until, reason } = await said(deletionPostponed, delete_job_id)
  t.equal(reason, 'outage')
  t.ok(Date.parse(until ?? '') > Date.now() + 3_590_000, 'at least an hour away')
  t.ok(await never(deletionConfirmed, delete_job_id))
})

t.test('a mass leave trips the brake until an operator releases it', async (t) => {
  const { left, said, never, bus } = await world(t)
  const operator = await bus('operator')
  const bot = await bus('bot')
  for (let index = 0; index < 6; index++) {
    await bot.publish(memberLeft, { key: `mass-${index}`, data: { member_id: `aaaaaaaaaaaaaaaaaaa${'abcdef'[index]}`, wa_jid: `628120000010${index}@s.whatsapp.net`, group_id: '120363000000@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
  }
  while (!(await operator.request(getBrake, {})).tripped) await new Promise((resolve) => setTimeout(resolve, 10))
  const { delete_job_id, say } = await left(Date.now())
  await say()
  t.match(await said(deletionPostponed, delete_job_id), { reason: 'brake' })
  t.ok(await never(deletionConfirmed, delete_job_id))
  t.match(await operator.request(setBrake, { tripped: false, by: 'on call', why: 'looked at it' }), { tripped: false })
  t.match(await said(deletionConfirmed, delete_job_id), { delete_job_id }, 'then what waited goes on')
})

t.test('no more go in a minute than the pace allows', async (t) => {
  const { left, said, never } = await world(t, { perMinute: 2 })
  const jobs = await Promise.all(Array.from({ length: 5 }, async () => await left(Date.now())))
  for (const { say } of jobs) await say()
  const waiting: string[] = []
  for (const { delete_job_id } of jobs) {
    const [confirmed, postponed] = [said(deletionConfirmed, delete_job_id).then(() => true), said(deletionPostponed, delete_job_id).then(() => false)]
    if (!await Promise.race([confirmed, postponed])) waiting.push(delete_job_id)
  }
  t.equal(waiting.length, 3)
  for (const delete_job_id of waiting) t.ok(await never(deletionConfirmed, delete_job_id))
})

t.test('the deletions of a member who is erased', async (t) => {
  const { nats, bus, left, said, store, claims } = await world(t)
  const erased = await left(Date.now() - 1_000)
  const other = await left(Date.now() - 1_000)
  for (const { delete_job_id } of [erased, other]) await said(deletionConfirmed, delete_job_id)
  // A claim that failed after its member had left keeps its schedule.
  const scheduled = await left(Date.now() + 3_600_000, { status: 'failed' })
  await scheduled.say()
  while (await store.lastSequence('DELETIONS', pendingSubject(scheduled.delete_job_id)) === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  const bot = await bus('bot')
  const reaper = await bus('reaper')
  const brake = await reaper.bucket(brakeBucket)
  for (const [key, id] of [['one', member_id], ['two', 'tsrqponmlkjihgfedcba']] as const) await bot.publish(memberLeft, { key, data: { member_id: id, wa_jid, group_id: '120363000000@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
  while ((await brake.get('brake'))?.text().includes('tsrqponmlkjihgfedcba') !== true) await new Promise((resolve) => setTimeout(resolve, 10))
  const inStore = (stream: string, text: string) => filesHolding(join(nats.storeDir, 'jetstream', 'KLAIM', 'streams', stream), text)
  t.ok(inStore('DELETIONS', erased.claim_id).length > 0 && inStore('DELETIONS', scheduled.claim_id).length > 0 && inStore('KV_brake', member_id).length > 0)

  // Claims that are over: nothing is judged any more.
  for (const { claim_id } of [erased, other, scheduled]) claims.delete(claim_id)
  await store.publish(claimErased, { key: erased.claim_id, data: { member_id, claims: [{ claim_id: scheduled.claim_id, departures: 1 }, { claim_id: erased.claim_id, departures: 1 }], reason: 'asked' } })
  for (const until = Date.now() + 15_000; Date.now() < until && ([erased, scheduled].some(({ claim_id }) => inStore('DELETIONS', claim_id).length > 0) || inStore('KV_brake', member_id).length > 0);) await new Promise((resolve) => setTimeout(resolve, 20))
  t.same([erased, scheduled].map(({ claim_id }) => inStore('DELETIONS', claim_id)), [[], []], 'are gone with every byte')
  t.same(inStore('KV_brake', member_id), [], 'and so is the word of the leave in every earlier state of the brake')
  t.equal(await store.lastSequence('DELETIONS', pendingSubject(scheduled.delete_job_id)), 0, 'a schedule that was left, too')
  t.not(await store.lastSequence('DELETIONS', `deletions.confirmed.${other.delete_job_id}`), 0, 'those of others stay')
})

t.test('a due message that no schedule produced deletes nobody', async (t) => {
  const { left, store, never, claims, bus } = await world(t)
  const { delete_job_id, job } = await left(Date.now() + 3_600_000)
  const reaper = await bus('reaper')
  await t.rejects(reaper.publish(deletionDue, { key: 'x', data: { ...job, due_at: 'no' } }), { code: 'MESSAGE_INVALID' })
  await sayCaused(reaper, deletionDue, { key: 'forged', data: { ...job, due_at: new Date().toISOString() } })
  const info = async () => await store.raw.jsm.consumers.info('DELETIONS', 'reaper-due')
  while ((await info()).num_pending > 0 || (await info()).num_ack_pending > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok(await never(deletionConfirmed, delete_job_id))
  t.equal(claims.get(job.claim_id)?.status, 'deleting')
})

t.test('as many changes of the brake at once as deletions may fall due at once', async (t) => {
  const nats = await startKlaimNats()
  t.teardown(async () => { await nats.close() })
  const bus = await createBus({ ...nats.playing('reaper'), log: silent('reaper'), metrics: createMetrics('reaper'), now: () => new Date() })
  t.teardown(() => bus.close())
  const brake = createBrakeStore(await bus.bucket(brakeBucket))
  t.same(await brake.read(), AT_REST)
  await Promise.all(Array.from({ length: 64 }, async () => await brake.change((record) => ({ ...record, rosterSize: record.rosterSize + 1 }))))
  t.equal((await brake.read()).rosterSize, 64, 'none is lost, and none gives up')
})
