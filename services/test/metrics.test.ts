// The whole system through a claim, a leave, a return, a deletion, a failed claim and a dead letter, as Prometheus sees it.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import { FAILURE_CODES } from '../../contracts/codes.ts'
import { CONSUMERS, STREAMS } from '../../contracts/streams.ts'
import { SERVICES } from '../../deploy/staging/system.ts'
import { allMetrics } from '../../scripts/metrics-document.ts'
import { connectNats } from '../common/connect.ts'
import { memberIdOf } from '../common/member-id.ts'
import { actor, journey, startJourneySystem, until } from './journey.ts'
import { faultsIn, scrape } from './scrape.ts'

const system = await startJourneySystem()
t.teardown(() => system.close())
const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const claimIds: string[] = []
let people = 0
/** All that was ever said, to be searched at the end. */
const lines: string[] = []

t.test('before anything happens', async (t) => {
  const { texts, value, labelsOf } = await until('every service has looked around', async () => {
    const seen = await scrape(system)
    return seen.value('klaim_jetstream_storage_limit_bytes') > 0 && seen.value('klaim_deletions_sweep_timestamp_seconds') > 0 && seen.value('klaim_roster_reliable') === 1 ? seen : undefined
  })
  for (const [service, text] of texts) t.equal(faultsIn(text), '', `promtool finds no fault with what ${service} says`)
  t.same(labelsOf('klaim_build_info', 'service'), SERVICES.toSorted(), 'every service says what it is')
  t.same(labelsOf('klaim_build_info', 'node'), [process.versions.node])
  t.same(labelsOf('klaim_consumer_pending', 'consumer'), CONSUMERS.map(({ name }) => name).toSorted(), 'every consumer is watched by the service that reads it')
  t.same(labelsOf('klaim_stream_messages', 'stream').filter((name) => !name.startsWith('KV_')), STREAMS.map(({ name }) => name).toSorted(), 'every stream is measured')
  t.ok(value('klaim_jetstream_storage_bytes') > 0 && value('klaim_jetstream_storage_bytes') < value('klaim_jetstream_storage_limit_bytes'))
  t.equal(value('klaim_jetstream_storage_limit_bytes'), value('klaim_stream_limit_bytes'))
  t.same(labelsOf('klaim_claims_failed_total', 'code'), FAILURE_CODES.toSorted(), 'counters stand at 0 from the start, for every code')
  for (const name of ['klaim_claims_requested_total', 'klaim_claims_failed_total', 'klaim_deletions_of_present_total', 'klaim_logins_undelivered_total', 'klaim_claim_lead_seconds_count', 'klaim_dead_letters', 'klaim_whatsapp_restricted', 'klaim_brake_on', 'klaim_panel_rate_limited_total']) t.equal(value(name), 0, name)
  people = value('klaim_roster_members')
  t.ok(people >= 12, 'the members are in the roster')
  t.same([value('klaim_whatsapp_connection', { state: 'open' }), value('klaim_panel_up')], [1, 1])
  t.ok(Date.now() / 1_000 - value('klaim_roster_seen_timestamp_seconds') < 180 && Date.now() / 1_000 - value('klaim_whatsapp_probe_timestamp_seconds') < 180, 'moments are Unix times')
  t.ok(Math.abs(value('klaim_clock_skew_seconds')) < 60)
  t.ok(value('klaim_panel_free_allocations') > 0)
})

t.test('what is said is what is documented', async (t) => {
  const documented = allMetrics()
  const seen = await scrape(system)
  for (const service of SERVICES) {
    const said = [...(seen.texts.get(service) ?? '').matchAll(/^# TYPE (klaim_\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`).toSorted()
    t.same(said, documented.filter((metric) => metric.service === 'all' || metric.service === service).map(({ name, type }) => `${name} ${type}`).toSorted(), service)
  }
})

t.test('a member who claims, leaves, comes back and leaves', async (t) => { await journey(t, system, 1, async () => {}) })

t.test('a claim that fails, and what nobody can read', async (t) => {
  const knobs = async (install: string) => await fetch(`${system.panelUrl}/__double/knobs`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ wings: { '*': { install } } }) })
  t.ok((await knobs('failure')).ok)
  const person = actor(system, numberOf(2))
  const { body } = await person.claim()
  claimIds.push(body.claim_id)
  await until('a claim is seen being made', async () => (await scrape(system)).value('klaim_claim_creating_oldest_seconds') > 0 || undefined, { everyMs: 50 })
  await until('the claim fails', async () => (await person.progress(body.claim_id)).status === 'failed' || undefined)
  t.ok((await knobs('success')).ok)
  const operator = await connectNats(system.nats.access('operator'), 'operator')
  t.teardown(() => operator.close())
  await jetstream(operator).publish(`servers.${randomUUID()}.ready`, `${numberOf(2)}@s.whatsapp.net`)
  await until('the dead letter is counted', async () => (await scrape(system)).value('klaim_dead_letters') === 1 || undefined, { everyMs: 500 })
})

t.test('after all that', async (t) => {
  const { texts, value, labelsOf } = await scrape(system)
  lines.push(...[...texts.values()].flatMap((text) => text.split('\n')))
  for (const [service, text] of texts) t.equal(faultsIn(text), '', `promtool finds no fault with what ${service} says`)
  t.same(['requested', 'active', 'failed', 'deleted'].map((what) => value(`klaim_claims_${what}_total`)), [2, 1, 1, 1], 'claims are counted by what became of them')
  t.equal(value('klaim_claims_failed_total', { code: 'INSTALL_FAILED' }), 1)
  t.same(['scheduled', 'cancelled'].map((what) => value(`klaim_deletions_${what}_total`)), [2, 1], 'and deletions')
  t.same(['creating', 'active', 'failed', 'deleting', 'deleted'].map((status) => value('klaim_claims', { status })), [0, 0, 1, 0, 1])
  t.same([value('klaim_claim_lead_seconds_count'), value('klaim_claim_active_seconds_count')], [1, 1], 'the one login is in the lead time')
  t.ok(value('klaim_claim_lead_seconds_sum') >= value('klaim_claim_active_seconds_sum') && value('klaim_claim_active_seconds_sum') > 0, 'which is longer than it took to make the server')
  t.same([120, 180].map((le) => value('klaim_claim_lead_seconds_bucket', { le: String(le) })), [1, 1])
  t.same([value('klaim_deletions_witnessed_total', { membership: 'absent' }), value('klaim_deletions_of_present_total')], [1, 0], 'the deletion had a witness, and nobody was there')
  t.ok(value('klaim_deletion_verdicts_total', { verdict: 'confirm' }) >= 1)
  t.same(labelsOf('klaim_provisioning_step_seconds_count', 'step'), ['account', 'cleanup', 'create', 'discard', 'install', 'probe'], 'each step has its time')
  t.ok(value('klaim_http_request_seconds_count', { route: '/api/claim', status: '202' }) >= 2)
  t.equal(value('klaim_claim_attempts_total', { result: 'accepted' }), 2)
  t.ok(value('klaim_panel_calls_total', { method: 'POST', route: '/servers', status: '201' }) >= 2 && value('klaim_panel_call_seconds_count') > 0 && value('klaim_panel_budget_remaining') > 0)
  t.ok(value('klaim_whatsapp_sends_total', { result: 'accepted' }) >= 6)
  t.equal(value('klaim_roster_members'), people - 1, 'one member is gone')
  t.same([value('klaim_messages_total', { result: 'dead' }), value('klaim_messages_total', { consumer: 'claim-store-servers', result: 'dead' })], [1, 1])
  t.ok(value('klaim_book_bytes') > 0 && value('klaim_book_write_seconds_count') > 0)
})

t.test('after a restart', async (t) => {
  for (const service of ['claim-store', 'bot', 'reaper'] as const) {
    await system.kill(service)
    await system.start(service)
  }
  const { value } = await until('the deletions are swept', async () => {
    const seen = await scrape(system)
    return seen.value('klaim_deletions_sweep_timestamp_seconds') > 0 ? seen : undefined
  })
  t.same(['requested', 'active', 'failed', 'deleted'].map((what) => value(`klaim_claims_${what}_total`)), [0, 0, 0, 0], 'what is replayed is not counted again')
  t.same([value('klaim_claim_lead_seconds_count'), value('klaim_claim_active_seconds_count'), value('klaim_deletions_witnessed_total'), value('klaim_deletions_scheduled_total')], [0, 0, 0, 0])
  t.same([value('klaim_claims', { status: 'failed' }), value('klaim_claims', { status: 'deleted' })], [1, 1], 'what there is, is seen as before')
})

t.test('no line tells of anybody', async (t) => {
  const members = [1, 2].map((member) => memberIdOf(system.memberIdKey, `${numberOf(member)}@s.whatsapp.net`))
  lines.push(...[...(await scrape(system)).texts.values()].flatMap((text) => text.split('\n')))
  t.ok(lines.length > 1_000, 'there are lines to look at')
  t.same(lines.filter((line) => [...members, ...claimIds].some((id) => line.includes(id)) || /62812\d+|[0-9a-f]{8}-[0-9a-f]{4}-|"[a-z2-7]{20}"|@s\.whatsapp|@lid/.test(line)), [])
})

t.test('deploy/prometheus/prometheus.yml', async (t) => {
  const { status, stdout, stderr } = spawnSync(process.env['PROMTOOL'] || 'promtool', ['check', 'config', join(resolve(import.meta.dirname, '../..'), 'deploy/prometheus/prometheus.yml')], { encoding: 'utf8' })
  t.equal(status, 0, `${stdout}${stderr}`)
})
