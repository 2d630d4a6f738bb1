// What is thought of what was seen, without anything to see.
import t from 'tap'
import { parseTemplates } from '../../../services/common/templates.ts'
import { permanent } from '../../../services/common/fault.ts'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { judgeBackups } from '../backup.ts'
import { judgeGroup, judgeLinked } from '../bot.ts'
import { listed, Unseen, type Finding } from '../check.ts'
import { judgeSkews } from '../clock.ts'
import { judgeSpace } from '../disk.ts'
import { judgeDashboards } from '../grafana.ts'
import { judgeServers, judgeStorage, type Node } from '../nats.ts'
import { judgeEggs, judgeNodes, judgeTemplates } from '../offers.ts'
import { judgeKey, meaningOf, type Tried } from '../panel-key.ts'
import { judgeAlertmanager, judgeRules, judgeTargets, rulesIn, type Target } from '../prometheus.ts'
import { judgeInternal, judgeLedger, judgeLogin, judgeMembers, judgeSession, judgeWebhook } from '../round-trips.ts'
import { judgeFiles } from '../secrets.ts'
import { judgeReady, judgeRegistered, type Seen } from '../services.ts'
import { judgeDeadLetters, judgeHeld, strangersAmong } from '../topology.ts'

const GIB = 1024 ** 3
const now = new Date('2026-11-24T12:00:00Z')
const SIX = ['gateway', 'claim-store', 'provisioner', 'reaper', 'notifier', 'bot']
const said = ({ verdict, text }: Finding): [string, string] => [verdict, text]

t.test('the key of the panel', async (t) => {
  t.same([meaningOf('GET', 200), meaningOf('GET', 403), meaningOf('GET', 404)], ['granted', 'refused', 'untold'])
  t.same([meaningOf('POST', 422), meaningOf('POST', 403), meaningOf('POST', 404), meaningOf('POST', 201)], ['granted', 'refused', 'untold', 'untold'], 'an empty form that is refused for being empty')
  const tried = (answers: Record<string, Tried['answer']>): Tried[] => Object.entries(answers).map(([right, answer]) => ({ right, isNeeded: right !== 'nodes write', answer }))
  t.equal(judgeKey(tried({ 'users write': 'granted', 'nodes write': 'refused' }), false).verdict, 'ok')
  t.same(said(judgeKey(tried({ 'users write': 'refused', 'eggs read': 'granted' }), false)), ['no', 'it may not: users write'])
  t.equal(judgeKey(tried({ 'eggs read': 'untold' }), false).verdict, 'no', 'what could not be tried is no reason to go')
  t.same(judgeKey(tried({ 'nodes write': 'untold' }), false).remarks, [])
  t.match(judgeKey(tried({ 'users write': 'granted', 'nodes write': 'granted' }), false), { verdict: 'ok', remarks: ['it may also do what Klaim does not need: nodes write'] })
  t.match(judgeKey([], true), { verdict: 'ok', remarks: [/key of an account/] })
})

t.test('templates, eggs and nodes', async (t) => {
  const offered = parseTemplates(JSON.parse(readFileSync(resolve(import.meta.dirname, '../../../config/templates.json'), 'utf8')))
  t.same(said(judgeTemplates(offered)), ['ok', 'nodejs version 1, python version 1'])
  t.same(said(judgeTemplates(permanent('TEMPLATES_INVALID', 'the templates are not valid\n  nodejs: egg is missing\n  x: y'))), ['no', 'the templates are not valid; nodejs: egg is missing; x: y'])
  const eggs = new Map([...offered.values()].map(({ name, definition: { image, environment } }) => [name, { name, images: [image], variables: Object.keys(environment).map((variable) => ({ name: variable, rules: 'nullable|string' })) }]))
  t.equal(judgeEggs(offered, eggs).verdict, 'ok')
  t.same(said(judgeEggs(offered, new Map([...eggs, ['python', null]]))), ['no', 'python: the panel has no egg 16 in nest 5'])

  const node = (id: number, free: number, isInMaintenance = false) =>
    ({ id, node: { id, fqdn: `n${id}`, isInMaintenance, allocations: Array.from({ length: free + 2 }, (_, n) => ({ id: n + 1, ip: '10.0.0.1', alias: null, port: 20_000 + n, assigned: n < 2 })) } })
  t.same(said(judgeNodes([node(1, 10), node(2, 50)])), ['ok', 'node 1 has 10 free ports, node 2 has 50 free ports'])
  t.same(said(judgeNodes([node(1, 9)])), ['no', 'node 1 (n1) has 9 free ports, and should have 10'])
  t.same(said(judgeNodes([node(1, 50, true), { id: 3, node: null }])), ['no', 'node 1 (n1) is in maintenance; the panel has no node 3'])
})

t.test('NATS', async (t) => {
  const node = (changed: Partial<Node> = {}): Node => ({ name: 'a', version: '2.15.1', jetstream: { isSynced: true, usedBytes: GIB, reservedBytes: 4 * GIB, limitBytes: 10 * GIB }, ...changed })
  const jetstream = node().jetstream as NonNullable<Node['jetstream']>
  t.equal(judgeServers([node()], 1).verdict, 'ok')
  t.same(said(judgeServers([node({ version: '2.14.2' })], 1)), ['no', 'a is 2.14.2, and 2.14.3 is needed'])
  t.equal(judgeServers([node({ version: '2.14.3' })], 1).verdict, 'ok')
  t.same(said(judgeServers([node({ jetstream: undefined })], 1)), ['no', 'a has no JetStream'])
  t.match(judgeServers([node({ jetstream: { ...jetstream, isSynced: false } })], 1), { verdict: 'no', text: /sync_interval is not always/ })
  t.same(said(judgeServers([node(), node({ name: 'b' })], 3)), ['no', '2 of 3 nodes answer'])
  t.same(judgeServers([node(), node({ version: '2.15.2' }), node()], 3).remarks, ['the nodes are of different versions'])

  t.equal(judgeStorage([node()], [{ stream: 'CLAIMS', bytes: 80, limitBytes: 100 }]).verdict, 'ok')
  t.same(said(judgeStorage([node()], [{ stream: 'CLAIMS', bytes: 81 * 1024 ** 2, limitBytes: 100 * 1024 ** 2 }])), ['no', 'CLAIMS holds 81 MiB of 100 MiB'])
  t.equal(judgeStorage([node()], [{ stream: 'ELSE', bytes: 81, limitBytes: -1 }]).verdict, 'ok', 'no limit')
  t.match(judgeStorage([node({ jetstream: { ...jetstream, usedBytes: 9 * GIB } })], []), { verdict: 'no', text: /^a holds/ })
  t.match(judgeStorage([node({ jetstream: { ...jetstream, reservedBytes: 11 * GIB } })], []), { verdict: 'no', text: /^a has promised/ })

  const shouldBe = { max_bytes: 1, subjects: ['a'] }
  t.same(said(judgeHeld([{ name: 'A', is: { max_bytes: 1, subjects: ['a'], metadata: { x: 'y' }, compression: 'none', max_msgs: -1 }, shouldBe }], [], 'fine')), ['ok', 'fine'])
  t.same(said(judgeHeld([{ name: 'A', is: undefined, shouldBe }], [], 'fine')), ['no', 'A is not there'])
  t.same(said(judgeHeld([{ name: 'A', is: { max_bytes: 2, subjects: ['a'], max_msgs: 5 }, shouldBe }], [], 'fine')), ['no', 'A: max_bytes is 2, and should be 1; A: max_msgs is 5, which is set nowhere'])
  t.same(said(judgeHeld([{ name: 'A', is: shouldBe, shouldBe, behind: ['node3'] }], [], 'fine')), ['no', 'A: node3 has no whole copy'])
  t.same(strangersAmong(['CLAIMS', 'KV_brake', 'ELSE', 'CLAIMS_BEFORE_REKEY']), ["ELSE is none of Klaim's streams", 'CLAIMS_BEFORE_REKEY is still there: scripts/rekey-members --confirm'])
  t.match([judgeDeadLetters(0), judgeDeadLetters(3)], [{ verdict: 'ok', remarks: [] }, { verdict: 'ok', text: '3 messages could not be handled', remarks: [/scripts\/dead-letters list/] }])
})

t.test('clocks', async (t) => {
  t.same(said(judgeSkews([{ whose: 'bot', ms: 60_000 }])), ['ok', 'bot and NATS differ by 60.0 s at most'])
  t.same(judgeSkews([{ whose: 'bot', ms: 60_000 }]).remarks, ['bot is 60.0 s ahead of NATS'])
  t.same(said(judgeSkews([{ whose: 'bot', ms: 10 }, { whose: 'reaper', ms: -60_001 }])), ['no', 'reaper is 60.0 s behind NATS'])
})

t.test('secrets', async (t) => {
  const file = (what: string, problem: string | null, isRotated = false) => ({ what, problem, isRotated })
  t.equal(judgeFiles([file('a', null)]).verdict, 'ok')
  t.same(said(judgeFiles([file('a', null), file('b', 'cannot be read (ENOENT)')])), ['no', 'b cannot be read (ENOENT)'])
  t.same(judgeFiles([file('a', null, true)]).remarks, ['a: a rotation has begun'])
  t.same(said(judgeMembers([])), ['ok', 'nobody has been named yet'])
  t.same(said(judgeMembers([{ author: 'bot', isFitting: true }, { author: 'claim-store', isFitting: true }])), ['ok', 'bot and claim-store name members by this key'])
  t.same(said(judgeMembers([{ author: 'bot', isFitting: true }, { author: 'gateway', isFitting: false }])), ['no', 'gateway names members by another key'])
  t.same([judgeLedger(null), judgeLedger(true), judgeLedger(false)].map(({ verdict }) => verdict), ['ok', 'ok', 'no'])
  t.same([judgeSession(0, 0, 0), judgeSession(5, 5, 0), judgeSession(5, 4, 0)].map(({ verdict }) => verdict), ['ok', 'ok', 'no'])
  t.match(judgeSession(5, 5, 2), { verdict: 'ok', remarks: [/old key/] })
  t.same([judgeLogin(true), judgeLogin(false)].map(({ verdict }) => verdict), ['ok', 'no'])
  t.same([judgeInternal(200, 401), judgeInternal(401, 401), judgeInternal(200, 200)].map(({ verdict }) => verdict), ['ok', 'no', 'no'])
  t.throws(() => judgeInternal(502, 401), Unseen)
})

t.test('the webhook', async (t) => {
  const refused = (status: number, code: string) => ({ status, code })
  const [taken, wrong] = [refused(400, 'INVALID_REQUEST'), refused(401, 'INVALID_SIGNATURE')]
  t.equal(judgeWebhook(taken, wrong).verdict, 'ok', 'what is empty is refused for that, after its signature was taken')
  t.same([judgeWebhook(wrong, wrong), judgeWebhook(refused(404, 'NOT_FOUND'), wrong), judgeWebhook(refused(401, 'STALE_TIMESTAMP'), wrong), judgeWebhook(taken, taken)].map(({ verdict }) => verdict), ['no', 'no', 'no', 'no'])
  t.throws(() => judgeWebhook(refused(429, 'RATE_LIMITED'), wrong), Unseen)
})

t.test('services', async (t) => {
  const all = SIX.map((name) => ({ name, version: '1.0.0' }))
  t.same(said(judgeRegistered([...all, { name: 'bot', version: '1.0.0' }, { name: 'else', version: '7' }])), ['ok', '6 services of version 1.0.0 in 7 processes'])
  t.same(said(judgeRegistered(all.filter(({ name }) => name !== 'reaper'))), ['no', 'reaper: not there'])
  t.same(said(judgeRegistered([...all, { name: 'bot', version: '0.9.0' }])), ['no', 'different versions run: 0.9.0 (bot); 1.0.0 (gateway, claim-store, provisioner, reaper, notifier, bot)'])

  const ready: Seen[] = SIX.map((service) => ({ url: `http://${service}`, service, unready: [] }))
  t.equal(judgeReady(ready).verdict, 'ok')
  t.same(said(judgeReady([...ready.slice(1), { url: 'http://gateway', service: undefined, unready: [] }])), ['no', 'http://gateway is no service that answers; gateway is at none of HEALTH_URLS'])
  t.same(said(judgeReady([...ready.slice(0, 5), { url: 'http://bot', service: 'bot', unready: [['whatsapp', 'linking'], ['roster', 'old']] }])), ['no', 'bot is not ready: whatsapp linking, roster old'])
  const standby: Seen = { url: 'http://bot2', service: 'bot', unready: [['whatsapp', 'standby']] }
  t.match(judgeReady([...ready, standby]), { verdict: 'ok', remarks: ['a second bot stands by'] })
  t.equal(judgeReady([...ready.slice(0, 5), standby]).verdict, 'no', 'a bot that stands by for nobody')
})

t.test('the bot', async (t) => {
  t.same([judgeLinked({ connection: 'open' }), judgeLinked({ connection: 'linking' })].map(({ verdict }) => verdict), ['ok', 'no'])
  const seenAt = '2026-11-24T11:59:00Z'
  t.same(said(judgeGroup({ state: 'known', size: 40, seen_at: seenAt }, now)), ['ok', '40 people in the group, read 60 s ago'])
  t.equal(judgeGroup({ state: 'known', size: 0, seen_at: seenAt }, now).verdict, 'no')
  t.same(said(judgeGroup({ state: 'unknown', size: 1, seen_at: null }, now)), ['no', 'it cannot tell who is in the group (one person, which was never read)'])
})

t.test('what watches', async (t) => {
  const target = (changed: Partial<Target> = {}): Target => ({ labels: {}, scrapeUrl: 'http://a/metrics', health: 'up', lastError: '', ...changed })
  t.equal(judgeTargets([target()], SIX).verdict, 'ok')
  t.same(said(judgeTargets([target({ health: 'down', lastError: 'connection refused' })], SIX)), ['no', 'http://a/metrics is down (connection refused)'])
  t.same(said(judgeTargets([target()], SIX.slice(1))), ['no', 'nothing is read of gateway'])

  t.same(rulesIn('groups:\n- name: x\n  rules:\n    - alert: BrakeTripped\n      expr: a\n    - record: klaim:b\n      expr: c\n      alert: "Quoted"\n'), ['BrakeTripped', 'klaim:b', 'Quoted'])
  const rule = { name: 'A', health: 'ok', state: 'inactive' }
  t.equal(judgeRules([rule], ['A']).verdict, 'ok')
  t.same(said(judgeRules([rule], ['A', 'B'])), ['no', 'not loaded: B'])
  t.equal(judgeRules([], []).verdict, 'no')
  t.same(said(judgeRules([{ ...rule, health: 'err' }], ['A'])), ['no', 'A cannot be evaluated'])
  t.same(judgeRules([{ ...rule, state: 'firing' }], ['A']).remarks, ['firing now: A'])
  t.same(judgeRules([{ ...rule, name: 'Watchdog', state: 'firing' }], ['Watchdog']).remarks ?? [], [], 'what always fires is no news')

  const config = 'receivers:\n- name: on-call\n  webhook_configs:\n  - url: <secret>\n'
  t.equal(judgeAlertmanager(1, 'ready', config).verdict, 'ok')
  t.equal(judgeAlertmanager(0, 'ready', config).verdict, 'no')
  t.equal(judgeAlertmanager(1, 'settling', config).verdict, 'no')
  t.equal(judgeAlertmanager(1, 'ready', 'receivers:\n- name: nobody\n').verdict, 'no')

  const dashboard = { uid: 'klaim-claims', title: 'Claims' }
  t.equal(judgeDashboards('ok', ['klaim-claims', 'else'], [dashboard]).verdict, 'ok')
  t.same(said(judgeDashboards('ok', ['else'], [dashboard])), ['no', '"Claims" (klaim-claims) is not loaded'])
  t.equal(judgeDashboards('failing', ['klaim-claims'], [dashboard]).verdict, 'no')
})

t.test('backups and disks', async (t) => {
  const made = (hour: string, ending = ''): string => `klaim-2026-11-24T${hour}0000Z.tar.gz${ending}`
  const metrics = (at: string): string => `# TYPE x gauge\nklaim_backup_verified_timestamp_seconds ${Date.parse(at) / 1_000}\n`
  t.same(said(judgeBackups([made('05'), made('01')], now, undefined)), ['ok', 'the newest verified backup is 7.0 h old'])
  t.same(said(judgeBackups([made('04')], now, undefined)), ['no', 'the newest verified backup is 8.0 h old'])
  t.same(said(judgeBackups(['klaim.txt'], now, undefined)), ['no', 'there is no verified backup'])
  t.equal(judgeBackups([made('05'), made('11', '.failed')], now, undefined).verdict, 'no', 'the last one failed')
  t.equal(judgeBackups([made('11'), made('05', '.failed')], now, undefined).verdict, 'ok')
  t.equal(judgeBackups([made('11')], now, metrics('2026-11-24T11:00:00Z')).verdict, 'ok')
  t.equal(judgeBackups([made('11')], now, metrics('2026-11-24T05:00:00Z')).verdict, 'no', 'the alarm goes by a file that nobody writes any more')
  t.equal(judgeBackups([made('11')], now, '').verdict, 'no')

  t.same([judgeSpace('/x', GIB, 10 * GIB), judgeSpace('/x', GIB - 1, 5 * GIB), judgeSpace('/x', 9 * GIB, 100 * GIB)].map(({ verdict }) => verdict), ['ok', 'no', 'no'])
})

t.test('a line stays a line', async (t) => {
  t.equal(listed(['a', 'b']), 'a; b')
  t.equal(listed(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a; b; c; d; e; and 2 more')
})
