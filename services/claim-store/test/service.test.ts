import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import { claimActivated, claimRequested, deletionCancelled, deletionScheduled, deletionStarted, claimDeleted, claimFailed } from '../../../contracts/events/claims.ts'
import { deletionConfirmed, deletionRefuted } from '../../../contracts/events/deletions.ts'
import { memberJoined, memberLeft } from '../../../contracts/events/members.ts'
import { serverDeleted, serverReady } from '../../../contracts/events/servers.ts'
import { createClaim, getClaim, listClaims } from '../../../contracts/requests.ts'
import { createBus, type Bus } from '../../common/bus.ts'
import type { ServiceName } from '../../../contracts/define.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { scratch } from '../../common/test/scratch.ts'
import { start } from '../main.ts'

const nats = await startKlaimNats()
t.teardown(() => nats.close())

const MEMBER_ID_KEY = 'k'.repeat(32)
const silent = (service: string) => createLog(service, 'trace', () => {})
const ALL = [claimRequested, claimActivated, claimFailed, deletionScheduled, deletionCancelled, deletionStarted, claimDeleted]

async function busOf (t: Test, service: ServiceName): Promise<Bus> {
  const bus = await createBus({ ...nats.playing(service), log: silent(service), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}

async function claimStore (t: Test, bookFile: string, graceMs = 1_000) {
  const running = await start({
    ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: bookFile, BOOK_EVERY_MS: 20, GRACE_MS: graceMs, RETENTION_DAYS: 90, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
  }, { log: silent('claim-store'), metrics: createMetrics('claim-store'), now: () => new Date() })
  let stopped = false
  const stop = async () => { if (!stopped) { stopped = true; await running.stop() } }
  t.teardown(stop)
  return stop
}

let number = 6281200000100
/** A member nobody has met. */
function somebody () {
  const wa_jid = `${++number}@s.whatsapp.net`
  const member_id = memberIdOf(MEMBER_ID_KEY, wa_jid)
  return { wa_jid, member_id, asking: () => ({ claim_id: randomUUID(), wa_jid, username: 'member', template: 'nodejs', template_version: 1, language: 'id' as const }) }
}

const server = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'a.b.c.d.e' }

/** Resolves with the next event of this kind for the member. */
async function next (bus: Bus, type: string, memberId: string): Promise<{ data: Record<string, unknown>, causation: string | undefined }> {
  const subject = `claims.${memberId}.${type.split('.')[2]}`
  const watching = bus.raw.connection.subscribe(subject, { max: 1 })
  const found = await bus.last('CLAIMS', subject, ALL)
  if (!found) for await (const _ of watching) break
  watching.unsubscribe()
  const { event } = found ?? await bus.last('CLAIMS', subject, ALL) ?? { event: undefined }
  if (!event) throw new Error('seen on the wire and not stored')
  return { data: event.data as Record<string, unknown>, causation: event.causation }
}

t.test('of 100 who ask at once for one number, through two claim-stores, one gets the claim', async (t) => {
  const directory = scratch(t)
  await claimStore(t, join(directory, 'claims.json'))
  await claimStore(t, join(directory, 'claims.json'))
  const gateway = await busOf(t, 'gateway')
  const member = somebody()
  const answers = await Promise.all(Array.from({ length: 100 }, async () => await gateway.request(createClaim, member.asking())))
  const accepted = answers.filter(({ ok }) => ok)
  t.equal(accepted.length, 1)
  t.equal(answers.filter((answer) => !answer.ok && answer.rejection === 'ALREADY_CLAIMED' && answer.claim_id === (accepted[0] as { claim_id: string }).claim_id).length, 99, 'and 99 are told which claim stands in the way')
  const { state } = await gateway.raw.jsm.streams.info('CLAIMS', { subjects_filter: `claims.${member.member_id}.>` })
  t.same(state.subjects, { [`claims.${member.member_id}.requested`]: 1 }, 'and the ledger holds one request')
})

t.test('a list comes in pages, in the order of ids, each claim once', async (t) => {
  const stop = await claimStore(t, join(scratch(t), 'claims.json'))
  const gateway = await busOf(t, 'gateway')
  for (let count = 0; count < 7; count++) await gateway.request(createClaim, somebody().asking())
  const all = (await gateway.request(listClaims, { limit: 200 })).claims.map(({ claim_id }) => claim_id)
  t.ok(all.length >= 7)
  t.same(all, all.toSorted())
  const paged: string[] = []
  for (let after: string | undefined; ;) {
    const { claims, next } = await gateway.request(listClaims, { limit: 2, ...(after === undefined ? {} : { after }) })
    t.ok(claims.length <= 2)
    paged.push(...claims.map(({ claim_id }) => claim_id))
    if (next === undefined) break
    after = next
  }
  t.same(paged, all)
  await stop()
})

t.test('a claim from request to deletion', async (t) => {
  const book = join(scratch(t), 'claims.json')
  const stop = await claimStore(t, book)
  const [gateway, provisioner, bot, reaper] = await Promise.all((['gateway', 'provisioner', 'bot', 'reaper'] as const).map(async (service) => await busOf(t, service)))
  if (!gateway || !provisioner || !bot || !reaper) throw new Error('unreachable')
  const member = somebody()
  const question = member.asking()
  const { claim_id } = question
  const moved = (definition: typeof memberLeft) => bot.publish(definition, { key: randomUUID(), data: { member_id: member.member_id, wa_jid: member.wa_jid, group_id: '120363000000@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
  /** Answers follow the ledger by a moment: asks until the status is the wanted one. */
  const becomes = async (wanted: string) => {
    for (;;) {
      const answer = await gateway.request(getClaim, { claim_id })
      if (answer.ok && answer.claim.status === wanted) return answer.claim
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  await gateway.request(createClaim, question)
  t.match(await becomes('creating'), { status: 'creating', step: 'queued', server_id: null })
  t.same(await gateway.request(createClaim, question), { ok: true, claim_id }, 'is the same when the same request comes twice')

  const ready = await provisioner.publish(serverReady, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id: member.member_id, ...server } })
  t.ok(ready.sequence)
  t.match(await next(reaper, claimActivated.type, member.member_id), { data: { wa_jid: member.wa_jid, server_id: 8, sealed_password: 'a.b.c.d.e' }, causation: `server.ready.v1:${claim_id}` }, 'is activated by what the provisioner proved')
  t.match(await becomes('active'), { status: 'active', server_id: 8, user_id: 7, allocation_id: 9 })

  await moved(memberLeft)
  const scheduled = await next(reaper, deletionScheduled.type, member.member_id)
  t.match(await becomes('deleting'), { status: 'deleting', delete_job_id: `${claim_id}-d1` })
  t.match(await gateway.request(createClaim, member.asking()), { ok: false, rejection: 'LEAVING', claim_id, deletion_scheduled_at: String })
  t.match(await gateway.request(listClaims, { due_before: new Date(Date.now() + 60_000).toISOString() }), { claims: [{ claim_id }] }, 'is listed as due')

  await moved(memberJoined)
  await next(reaper, deletionCancelled.type, member.member_id)
  t.match(await becomes('active'), { status: 'active', deletion_scheduled_at: null, delete_job_id: null }, 'is active again after a return')

  await moved(memberLeft)
  const job = `${claim_id}-d2`
  const about = { delete_job_id: job, claim_id, member_id: member.member_id }
  const early = { ...about, due_at: String(scheduled.data['deletion_scheduled_at']), absent_at: new Date().toISOString() }
  const causation = `claim.deletion_scheduled.v1:${job}:0`
  await reaper.publish(deletionConfirmed, { key: `${job}:old`, causation, data: { ...early, delete_job_id: `${claim_id}-d1` } })
  await reaper.publish(deletionConfirmed, { key: `${job}:1`, causation, data: early })
  const started = await next(reaper, deletionStarted.type, member.member_id)
  t.match(started, { data: { ...about, server_id: 8 }, causation: `deletion.confirmed.v1:${job}:1` }, 'passes the point of no return by the confirmation of its newest departure, once it is due')
  await moved(memberJoined)
  await reaper.publish(deletionRefuted, { key: job, causation, data: { ...about, present_at: new Date().toISOString() } })
  await provisioner.publish(serverDeleted, { key: job, causation: `claim.deletion_started.v1:${job}`, data: { ...about, user_deleted: true } })
  await next(reaper, claimDeleted.type, member.member_id)
  t.match(await becomes('deleted'), { status: 'deleted', server_id: 8 })
  t.match(await gateway.request(createClaim, member.asking()), { ok: true }, 'leaves its member free to claim again')

  await stop()
  const written = JSON.parse(readFileSync(book, 'utf8')) as { sequence: number, claims: object[] }
  const entry = written.claims.find((each) => (each as { claim_id: string }).claim_id === claim_id)
  t.same(Object.keys(entry ?? {}), ['claim_id', 'wa_jid', 'status', 'user_id', 'server_id', 'allocation_id', 'deletion_scheduled_at', 'delete_job_id', 'created_at', 'updated_at', 'last_event_at'], 'stands in the book with exactly these fields')
})

t.test('a leave that was heard before the request was decided', async (t) => {
  await claimStore(t, join(scratch(t), 'claims.json'))
  const [gateway, provisioner, bot, reaper] = await Promise.all((['gateway', 'provisioner', 'bot', 'reaper'] as const).map(async (service) => await busOf(t, service)))
  if (!gateway || !provisioner || !bot || !reaper) throw new Error('unreachable')
  const [gone, back] = [somebody(), somebody()]
  const moved = async (definition: typeof memberLeft, { member_id, wa_jid }: typeof gone) =>
    await bot.publish(definition, { key: randomUUID(), data: { member_id, wa_jid, group_id: '120363000000@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
  // Each has left by the group's word, nothing could come of it, and then the request of before comes through.
  await moved(memberLeft, gone)
  await moved(memberLeft, back)
  const { sequence } = await moved(memberJoined, back)
  for (let heard = 0; heard < sequence;) heard = (await bot.raw.jsm.consumers.info('MEMBERS', 'claim-store-members')).ack_floor.stream_seq
  for (const member of [back, gone]) {
    const question = member.asking()
    const { claim_id } = question
    t.match(await gateway.request(createClaim, question), { ok: true })
    await provisioner.publish(serverReady, { key: claim_id, causation: `claim.requested.v1:${claim_id}`, data: { claim_id, member_id: member.member_id, ...server } })
    await next(reaper, claimActivated.type, member.member_id)
  }
  const scheduled = await next(reaper, deletionScheduled.type, gone.member_id)
  t.match(scheduled, { data: { reason: 'left' }, causation: /^member\.left\.v1:/ }, 'ends the claim when its server is ready')
  t.equal(await reaper.last('CLAIMS', `claims.${back.member_id}.deletion_scheduled`, ALL), null, 'but not where the member is back')
})

t.test('the book', async (t) => {
  const directory = scratch(t)
  const file = join(directory, 'claims.json')
  const gateway = await busOf(t, 'gateway')
  const member = somebody()
  const stop = await claimStore(t, file)
  const question = member.asking()
  const { claim_id } = question
  await gateway.request(createClaim, question)
  await stop()
  const before = readFileSync(file, 'utf8')
  t.ok(before.includes(claim_id), 'holds the claim after a stop')

  const again = await claimStore(t, file)
  t.match(await gateway.request(createClaim, member.asking()), { ok: false, rejection: 'ALREADY_CLAIMED', claim_id }, 'is enough to start from, and decisions still know the history')
  await again()

  writeFileSync(file, before.slice(0, before.length / 2))
  const rebuilt = await claimStore(t, file)
  t.match(await gateway.request(getClaim, { claim_id }), { ok: true, claim: { claim_id } }, 'is rebuilt from the ledger when it is torn')
  await rebuilt()
  t.ok(readdirSync(directory).some((name) => name.startsWith('claims.json.damaged-')), 'and the torn one is set aside')
  t.match(JSON.parse(readFileSync(file, 'utf8')).claims.find((each: { claim_id: string }) => each.claim_id === claim_id), { status: 'creating' })

  writeFileSync(file, JSON.stringify({ version: 1, sequence: 999_999, claims: [] }))
  await t.rejects(claimStore(t, file), { code: 'LEDGER_BEHIND_BOOK' }, 'that knows more than the stream stops the start, before anybody claims twice')
  t.ok(existsSync(file))
  chmodSync(directory, 0o700)
})

t.test('of two claim-stores with one book, one keeps it, and the other takes over', async (t) => {
  const file = join(scratch(t), 'claims.json')
  const gateway = await busOf(t, 'gateway')
  const first = await claimStore(t, file)
  const second = await claimStore(t, file)
  await first()
  const question = somebody().asking()
  const { claim_id } = question
  await gateway.request(createClaim, question)
  for (let tries = 0; tries < 60 && !(existsSync(file) && readFileSync(file, 'utf8').includes(claim_id)); tries++) await new Promise((resolve) => setTimeout(resolve, 100))
  t.ok(readFileSync(file, 'utf8').includes(claim_id))
  await second()
})
