// What operators ask about one claim, over a real NATS: a claim-store with its own rights, and a bot that says who is in the group.
import t, { type Test } from 'tap'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { startKlaimNats } from '../../../deploy/staging/klaim-nats.ts'
import type { ServiceName } from '../../../contracts/define.ts'
import { claimRequested, deletionScheduled } from '../../../contracts/events/claims.ts'
import { deletionConfirmed } from '../../../contracts/events/deletions.ts'
import { memberLeft } from '../../../contracts/events/members.ts'
import { operatorActed, type Acted } from '../../../contracts/events/operations.ts'
import { serverFailed, serverReady } from '../../../contracts/events/servers.ts'
import { createClaim, deleteClaim, extendDeletion, getClaim, holdDeletion, memberSeen, releaseDeletion, retryClaim, type ClaimView, type OperationAnswer } from '../../../contracts/requests.ts'
import { answering, createBus, type Bus } from '../../common/bus.ts'
import { decodeEvent } from '../../common/envelope.ts'
import { createLog } from '../../common/log.ts'
import { memberIdOf } from '../../common/member-id.ts'
import { createMetrics } from '../../common/metrics.ts'
import { pageOf } from '../../common/page.ts'
import { sayCaused } from '../../common/test/because.ts'
import { scratch } from '../../common/test/scratch.ts'
import { start } from '../main.ts'

const MEMBER_ID_KEY = 'k'.repeat(32)
const HOUR = 3_600_000
const GRACE = 4 * HOUR
const word = { by: 'budi@noc', why: 'asked by the group admin' }
const server = { user_id: 7, server_id: 8, allocation_id: 9, identifier: 'abcd1234', address: { host: 'node', port: 25565 }, username: 'member', sealed_password: 'a.b.c.d.e' }

const nats = await startKlaimNats()
t.teardown(() => nats.close())
const lines: string[] = []
const log = (service: string) => createLog(service, 'info', (line) => lines.push(line))
async function busOf (service: ServiceName, access = nats.playing(service)): Promise<Bus> {
  const bus = await createBus({ ...access, service, log: log(service), metrics: createMetrics(service), now: () => new Date() })
  t.teardown(() => bus.close())
  return bus
}
const running = await start({
  ...nats.env('claim-store'), MEMBER_ID_KEY, LEDGER_KEYS: 'l'.repeat(32), BOOK_FILE: join(scratch(t as unknown as Test), 'claims.json'), BOOK_EVERY_MS: 20, GRACE_MS: GRACE, RETENTION_DAYS: 90, LOG_LEVEL: 'info', HEALTH_HOST: '127.0.0.1', HEALTH_PORT: 0, STOP_TIMEOUT_MS: 1_000,
}, { log: log('claim-store'), metrics: createMetrics('claim-store'), now: () => new Date() })
t.teardown(() => running.stop())
const [gateway, provisioner, reaper, operator] = [await busOf('gateway'), await busOf('provisioner'), await busOf('reaper'), await busOf('operator', { ...nats.access('operator'), service: 'operator' })]
let bot = await busOf('bot')
let seen: 'present' | 'absent' | 'unknown' = 'present'
const answerAsBot = async (): Promise<void> => { await bot.respond([answering(memberSeen, async () => ({ ok: true as const, seen }))]) }
await answerAsBot()

let number = 6281200000100
async function becomes (claim_id: string, isSo: (claim: ClaimView) => boolean): Promise<ClaimView> {
  for (;;) {
    const answer = await gateway.request(getClaim, { claim_id })
    if (answer.ok && isSo(answer.claim)) return answer.claim
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
/** A claim of somebody new, as far as is wanted. */
async function claimed (until: 'failed' | 'active' | 'leaving') {
  const wa_jid = `${++number}@s.whatsapp.net`
  const member_id = memberIdOf(MEMBER_ID_KEY, wa_jid)
  const claim_id = randomUUID()
  await gateway.request(createClaim, { claim_id, wa_jid, username: 'member', template: 'nodejs', template_version: 3, language: 'id', idempotency_key_hash: 'a'.repeat(64) })
  if (until === 'failed') await sayCaused(provisioner, serverFailed, { key: claim_id, data: { claim_id, member_id, code: 'INSTALL_FAILED', step: 'install' } })
  else await sayCaused(provisioner, serverReady, { key: claim_id, data: { claim_id, member_id, ...server } })
  await becomes(claim_id, ({ status }) => status === (until === 'failed' ? 'failed' : 'active'))
  if (until === 'leaving') {
    await bot.publish(memberLeft, { key: claim_id, data: { member_id, wa_jid, group_id: '120363000000000001@g.us', occurred_at: new Date().toISOString(), observed_by: 'roster' } })
    await becomes(claim_id, ({ status }) => status === 'deleting')
  }
  return { wa_jid, member_id, claim_id, ...word }
}
const viewOf = async (claim_id: string): Promise<ClaimView> => await becomes(claim_id, () => true)
const ask = ({ claim_id, by, why }: { claim_id: string, by: string, why: string }) => ({ claim_id, by, why })
/** What stands on OPERATIONS about a member: `operation outcome detail`. */
async function words (memberId: string): Promise<string[]> {
  const found = await pageOf(operator.raw.jsm, 'OPERATIONS', { from: 1, filter: `operations.claim-store.${memberId}`, size: 100 })
  return found.map(({ subject, header, data }) => {
    const event = decodeEvent([operatorActed('claim-store')], { subject, headers: header, data })
    if (!event) throw new Error('no word of ours')
    const { operation, outcome = 'asked', detail = '', by, why } = event.event.data as Acted
    t.same({ by, why }, word)
    return `${operation} ${outcome} ${detail}`.trim()
  })
}
const lengthOf = async (stream: string): Promise<number> => (await operator.raw.jsm.streams.info(stream)).state.last_seq
const dueIn = (answer: OperationAnswer): number => answer.ok ? Math.round((Date.parse(answer.deletion_scheduled_at ?? '') - Date.now()) / HOUR) : -1

t.test('a claim that failed is tried again', async (t) => {
  seen = 'present'
  const claim = await claimed('failed')
  const before = [await lengthOf('CLAIMS'), await lengthOf('OPERATIONS')]
  t.match(await operator.request(retryClaim, { ...ask(claim), dry_run: true }), { ok: true, outcome: 'done' }, 'tried out first')
  t.same([await lengthOf('CLAIMS'), await lengthOf('OPERATIONS')], before, 'which changes nothing, and is no deed')
  const answer = await operator.request(retryClaim, { ...ask(claim), template_version: 4 })
  const next = answer.ok ? answer.claim_id ?? '' : ''
  t.match(await viewOf(next), { status: 'creating', username: 'member', template: 'nodejs', template_version: 4, member_id: claim.member_id }, 'as a claim of its own, from the version that is offered now')
  const cause = await operator.last('CLAIMS', `claims.${claim.member_id}.requested`, [claimRequested])
  t.match(cause?.event.causation, /^operator\.acted\.claim-store\.v1:/, 'of which is known who wanted it')
  t.same(await words(claim.member_id), ['retry asked template version 4', 'retry done template version 4'])
  t.same(await operator.request(retryClaim, ask(claim)), { ok: false, rejection: 'NOT_CURRENT' }, 'and not twice')
  t.same(await gateway.request(createClaim, { claim_id: randomUUID(), wa_jid: claim.wa_jid, username: 'member', template: 'nodejs', template_version: 3, language: 'id' }), { ok: false, rejection: 'ALREADY_CLAIMED', claim_id: next }, 'while the member has one claim as ever')
})

t.test('is not tried again', async (t) => {
  const claim = await claimed('failed')
  for (const [membership, rejection] of [['absent', 'NOT_MEMBER'], ['unknown', 'MEMBERSHIP_UNKNOWN']] as const) {
    seen = membership
    t.same(await operator.request(retryClaim, ask(claim)), { ok: false, rejection }, `for who is ${membership}`)
  }
  t.same(await words(claim.member_id), ['retry asked', 'retry NOT_MEMBER', 'retry asked', 'retry MEMBERSHIP_UNKNOWN'], 'which is said, too')
  seen = 'present'
  t.same(await operator.request(retryClaim, ask(await claimed('active'))), { ok: false, rejection: 'NOT_FAILED' }, 'where it did not fail')
  const length = await lengthOf('OPERATIONS')
  t.same(await operator.request(retryClaim, { claim_id: randomUUID(), ...word }), { ok: false, rejection: 'NOT_FOUND' })
  t.equal(await lengthOf('OPERATIONS'), length, 'and of what nobody knows nothing is kept')
})

t.test('a claim is deleted now', async (t) => {
  const claim = await claimed('active')
  seen = 'present'
  t.same(await operator.request(deleteClaim, ask(claim)), { ok: false, rejection: 'MEMBER_PRESENT' }, 'but not of a member who is in the group')
  seen = 'unknown'
  t.same(await operator.request(deleteClaim, ask(claim)), { ok: false, rejection: 'MEMBERSHIP_UNKNOWN' }, 'nor of whom nobody can tell')
  t.equal((await viewOf(claim.claim_id)).status, 'active')
  seen = 'absent'
  const answer = await operator.request(deleteClaim, ask(claim))
  t.match(answer, { ok: true, outcome: 'done' })
  t.equal(dueIn(answer), 0, 'without the grace')
  const view = await viewOf(claim.claim_id)
  t.match(view, { status: 'deleting', delete_job_id: `${claim.claim_id}-d1` }, 'by the ordinary way of a departure')
  t.notOk('deletion_even_if_present' in view)
  const event = await reaper.last('CLAIMS', `claims.${claim.member_id}.deletion_scheduled`, [deletionScheduled])
  t.match(event?.event.data, { reason: 'operator', operation: 'delete' })
  t.match(event?.event.causation, /^operator\.acted\.claim-store\.v1:/)
  t.match(await operator.request(deleteClaim, ask(claim)), { ok: true, outcome: 'already' })
  t.same((await words(claim.member_id)).filter((each) => !each.includes('asked')), ['delete MEMBER_PRESENT', 'delete MEMBERSHIP_UNKNOWN', 'delete done', 'delete already'])

  const present = await claimed('active')
  seen = 'present'
  t.match(await operator.request(deleteClaim, { ...ask(present), even_if_present: true, dry_run: true }), { ok: true, outcome: 'done' })
  t.equal((await viewOf(present.claim_id)).status, 'active')
  t.match(await operator.request(deleteClaim, { ...ask(present), even_if_present: true }), { ok: true, outcome: 'done' }, 'a member who is in the group, where that is said')
  t.match(await viewOf(present.claim_id), { status: 'deleting', deletion_even_if_present: true })
  const due = (await viewOf(present.claim_id)).deletion_scheduled_at ?? ''
  const job = { delete_job_id: `${present.claim_id}-d1`, claim_id: present.claim_id, member_id: present.member_id }
  await sayCaused(reaper, deletionConfirmed, { key: 'one', data: { ...job, due_at: due, absent_at: new Date().toISOString(), even_if_present: true } })
  t.match(await becomes(present.claim_id, ({ deletion_started: isGoing }) => isGoing === true), { status: 'deleting' }, 'is gone once the reaper says so')
  t.same(await operator.request(holdDeletion, { ...ask(present), hours: 1 }), { ok: false, rejection: 'DELETION_STARTED' }, 'and then nothing holds it')
})

t.test('a deletion is held, released and extended', async (t) => {
  const claim = await claimed('leaving')
  const first = (await viewOf(claim.claim_id)).deletion_scheduled_at ?? ''
  t.same(await operator.request(releaseDeletion, ask(claim)), { ok: false, rejection: 'NOT_HELD' })
  t.same(await operator.request(holdDeletion, { ...ask(claim), hours: 3 }), { ok: false, rejection: 'NOT_LATER' })
  t.equal(dueIn(await operator.request(holdDeletion, { ...ask(claim), hours: 48, dry_run: true })), 48)
  t.equal((await viewOf(claim.claim_id)).deletion_scheduled_at, first, 'tried out, nothing moves')
  t.equal(dueIn(await operator.request(holdDeletion, { ...ask(claim), hours: 48 })), 48)
  t.match(await viewOf(claim.claim_id), { status: 'deleting', deletion_held_from: first }, 'held, it knows when it was due')
  await sayCaused(reaper, deletionConfirmed, { key: 'two', data: { delete_job_id: `${claim.claim_id}-d1`, claim_id: claim.claim_id, member_id: claim.member_id, due_at: first, absent_at: new Date().toISOString() } })
  t.equal(dueIn(await operator.request(releaseDeletion, ask(claim))), 4, 'released, it is due then')
  t.notOk('deletion_held_from' in await viewOf(claim.claim_id))
  t.equal(dueIn(await operator.request(extendDeletion, { ...ask(claim), hours: 24 })), 28, 'extended, so much later')
  t.notOk((await viewOf(claim.claim_id)).deletion_started, 'and a confirmation from before starts nothing')
  for (let times = 0; times < 9; times++) await operator.request(extendDeletion, { ...ask(claim), hours: 72 })
  t.same(await operator.request(extendDeletion, { ...ask(claim), hours: 72 }), { ok: false, rejection: 'TOO_FAR' }, 'but not for ever')
  await t.rejects(operator.request(extendDeletion, { ...ask(claim), hours: 73 }), { code: 'QUESTION_INVALID' })
  await t.rejects(operator.request(holdDeletion, { ...ask(claim), hours: 337 }), { code: 'QUESTION_INVALID' })
  t.same(await operator.request(extendDeletion, { ...ask(await claimed('active')), hours: 1 }), { ok: false, rejection: 'NOT_SCHEDULED' })
  const events = await pageOf(operator.raw.jsm, 'CLAIMS', { from: 1, filter: `claims.${claim.member_id}.deletion_scheduled`, size: 50 })
  const operations = events.flatMap(({ data }) => (JSON.parse(new TextDecoder().decode(data)) as { operation?: string }).operation ?? [])
  t.same(operations.slice(0, 4), ['hold', 'release', 'extend', 'extend'])
})

t.test('while the bot is away', async (t) => {
  const claim = await claimed('active')
  await bot.close()
  t.same(await operator.request(deleteClaim, ask(claim)), { ok: false, rejection: 'MEMBERSHIP_UNKNOWN' }, 'nobody knows who is in the group')
  bot = await busOf('bot')
  await answerAsBot()
  t.same(lines.filter((line) => line.includes('62812') || line.includes('s.whatsapp')), [], 'and no line holds a number')
  t.ok(lines.some((line) => line.includes('an operator has a claim treated') && line.includes(word.by)))
})
