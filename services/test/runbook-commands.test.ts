import t from 'tap'
import { once } from 'node:events'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProgram } from '../../deploy/prometheus/test/program.ts'
import { startReceiver } from '../../deploy/prometheus/test/watch.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { startSystem } from '../../deploy/staging/system.ts'
import { startGrafana } from '../../scripts/doctoring/test/watched.ts'
import { memberIdOf } from '../common/member-id.ts'
import { scratch } from '../common/test/scratch.ts'
import { here } from './commands.ts'
import { numberOf, waJidOf } from './crowd.ts'
import { driftOf } from './drift-command.ts'
import { until } from './journey.ts'
import { NUMBERED, operatorOf, type Call, type Meaning } from './operator.ts'
import { ROOT } from './runbook.ts'
import { MEMBER, trouble } from './trouble.ts'

// Every command of RUNBOOK.md is carried out here, on a system on which much has gone wrong already, unless commands.ts says which other test does, or why none can.
const directory = scratch(t)
const at = (...parts: string[]): string => join(directory, ...parts)
const system = await startSystem({
  directory, graceMs: 3_600_000, members: 9, outsiders: 1,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50', PANEL_DOUBLE_RATE_LIMIT: '5000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '1000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100', DRIFT_EVERY_MS: '1000', PASSWORD_RESET_EVERY_MS: '1000' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100', ROSTER_EVERY_MS: '2000' },
  },
})
t.teardown(() => system.close())

// Around the services stands what watches them, with the configuration of this repository.
const port = { prometheus: await freePort(), alertmanager: await freePort(), node: await freePort() }
const local = (number: number): string => `127.0.0.1:${number}`
const { address, heard, close } = await startReceiver()
t.teardown(close)
const operator = operatorOf(system, directory, {
  places: [
    ['deploy/prometheus/', `${at('prometheus')}/`], ['/etc/prometheus/', `${at()}/`], ['/var/lib/pterodactyl', at('wings')], ['/var/backups/klaim', at('backups')], ['/etc/grafana/dashboards/klaim', at('dashboards')],
    ['127.0.0.1:9090', local(port.prometheus)], ['127.0.0.1:9093', local(port.alertmanager)], ['127.0.0.1:9100', local(port.node)],
  ],
  env: { PROMETHEUS_URL: `http://${local(port.prometheus)}`, ALERTMANAGER_URL: `http://${local(port.alertmanager)}`, GRAFANA_URL: await startGrafana(t), BACKUP_METRICS_FILE: at('textfiles', 'klaim_backup.prom') },
})
mkdirSync(at('backups'), { mode: 0o700 })
mkdirSync(at('textfiles'))
cpSync(join(ROOT, 'deploy/grafana/dashboards'), at('dashboards'), { recursive: true })
cpSync(join(ROOT, 'deploy/prometheus'), at('prometheus'), { recursive: true })
const rewrite = (file: string, change: (text: string) => string): void => { writeFileSync(at('prometheus', file), change(operator.meant(readFileSync(at('prometheus', file), 'utf8'))), { mode: 0o600 }) }
rewrite('prometheus.yml', (text) => text.replaceAll(/(_interval|_timeout): \S+/g, '$1: 1s'))
rewrite('targets/klaim.yml', (text) => text)
rewrite('targets/alertmanager.yml', (text) => text)
rewrite('targets/node.yml', (text) => text)
rewrite('alertmanager.yml', (text) => text.replaceAll(/https:\/\/([a-z-]+)\.example\.org\/klaim/g, `http://${address}/$1`).replaceAll(/group_wait: \S+/g, 'group_wait: 500ms').replaceAll(/group_interval: \S+/g, 'group_interval: 1s'))
const exporter = await startProgram('NODE_EXPORTER', [`--web.listen-address=${local(port.node)}`, `--collector.textfile.directory=${at('textfiles')}`], `http://${local(port.node)}/`)
t.teardown(exporter.stop)

const claims = await trouble(system)
const memberId = memberIdOf(system.memberIdKey, waJidOf(MEMBER.active))
await operator.run(`nats --nkey "$NATS_NKEY_SEED_FILE" pub members.${memberId}.joined '{}'`)
mkdirSync(at('wings/volumes/of-the-member'), { recursive: true })
mkdirSync(at('wings/backups'))
writeFileSync(at('index.js'), '')
await operator.run(`tar -czf ${at('wings/backups/saved.tar.gz')} -C ${at()} index.js`)
mkdirSync(at('nats-conf'))
cpSync(join(ROOT, 'deploy/nats/nats.conf'), at('nats-conf', 'nats.conf'))
writeFileSync(at('nats-conf', 'users.conf'), (await operator.run('scripts/secrets nats-users /etc/klaim')).said)
writeFileSync(at('movements.jsonl'), `${JSON.stringify({ event: 'join', wa_jid: waJidOf(MEMBER.active), occurred_at: new Date().toISOString() })}\n`)

/** How a command is carried out here, where it is not just as it stands, and what it has to print. Of several that fit all hold. */
interface Way extends Omit<Call, 'fill'> {
  /** Its beginning, or what it matches. */
  readonly of: string | RegExp
  readonly fill?: readonly Meaning[] | (() => Promise<readonly Meaning[]>)
  readonly prints?: RegExp
  /** It is well if it prints nothing. */
  readonly isQuiet?: true
  /** The documented one, where it is not 0. */
  readonly code?: number
  /** A person looks again, too. */
  readonly tries?: number
  readonly before?: () => Promise<unknown>
  readonly after?: () => Promise<unknown>
}
const found = async (command: string, words: RegExp): Promise<string> => words.exec((await operator.run(command)).said)?.[1] ?? ''
const rosterKey = async (): Promise<readonly Meaning[]> => [['<key>', await found('nats kv ls roster', /^(\S+)$/m)], ['<bucket>', 'roster']]
/** An account that somebody made by hand for a member without a claim: drift, until it is deleted. */
const strayAccount = async (): Promise<unknown> => await driftOf(system).panel('POST', '/users', {
  email: `${memberIdOf(system.memberIdKey, waJidOf(MEMBER.failed))}@members.klaim.invalid`, external_id: waJidOf(MEMBER.failed), username: 'byhand', first_name: 'By', last_name: 'Hand',
})
const stopServices = async (): Promise<void> => { await Promise.all(NUMBERED.map(async (service) => { await system.kill(service, 'SIGTERM') })) }

const WAYS: readonly Way[] = [
  { of: /^(?:alias|export|ulimit|sed|install|tar) /, isQuiet: true },
  { of: 'nats context save', prints: /klaim/ },
  { of: 'nats stream view', isAtTerminal: true },
  { of: /"tripped":true/, prints: /"ok":true,"tripped":true/ },
  { of: /"tripped":false/, prints: /"ok":true,"tripped":false/ },
  { of: 'nats request klaim.reaper.brake', prints: /"tripped":(?:true|false),.*"releases_at"/ },
  { of: /nats service ls/, prints: new RegExp(NUMBERED.map((service) => `(?=[^]*${service})`).join('')) },
  { of: /<service>/, fill: [['<service>', 'claim-store']], prints: /claim-store/ },
  { of: /<HEALTH_PORT>/, fill: [['127.0.0.1:<HEALTH_PORT>', new URL(system.healthUrl('bot')).host]] },
  { of: /readyz$/, prints: /"status":"ready"/ },
  { of: /\/metrics/, prints: /^(?:klaim|nodejs|alertmanager)_|^\d+$/m },
  { of: /"even_if_present":true/, fill: [['"claim_id":"…"', `"claim_id":"${claims.unheard}"`]] },
  { of: /"claim_id":"…"/, fill: [['"claim_id":"…"', `"claim_id":"${claims.active}"`]], prints: /"ok":true/ },
  { of: /claim_id=="…"/, fill: [['claim_id=="…"', `claim_id=="${claims.active}"`]], prints: /"event":"claim.requested"/ },
  { of: /<member_id>|<claim_id>/, fill: [['<member_id>', memberId], ['<claim_id>', claims.active]] },
  { of: 'nats stream view CLAIMS', prints: /claims\.\w{20}\.requested/ },
  { of: 'nats stream view SERVERS', prints: /servers\.\S+\.ready/ },
  { of: 'nats stream view OPERATIONS', prints: /operations\./ },
  { of: /operations\.\*\.<member_id>/, before: async () => await operator.run(`nats request klaim.bot.send_login '{"claim_id":"${claims.active}","by":"on call","why":"asked for"}'`) },
  { of: /claim-store\.list '{"status":"creating"}'/, prints: new RegExp(claims.creating) },
  { of: /claim-store\.list '{"status":"failed"}'/, prints: new RegExp(claims.failed) },
  { of: /consumer report CLAIMS/, prints: /claim-store-erased[^]*provisioner-claims/ },
  { of: 'for stream in', prints: /bot-messages/ },
  { of: 'nats request klaim.bot.roster', prints: /"state":"known"/ },
  { of: 'scripts/doctor', prints: /^Go/m, tries: 3 },
  { of: 'scripts/doctor --without webhook,grafana', prints: /^Go, without webhook, grafana\.$/m },
  { of: 'scripts/check-templates', prints: /^✓ nodejs:/m },
  { of: 'scripts/topology', prints: /are there/ },
  { of: 'scripts/secrets check', prints: /^✓ member_id_key$/m },
  { of: 'scripts/secrets create', prints: /^kept member_id_key$/m },
  { of: 'scripts/secrets put alert-numbers', input: '6281399990001' },
  { of: 'scripts/secrets environment', prints: /^SESSION_KEY_FILE=/m },
  { of: 'scripts/secrets nats-users', prints: /^KLAIM_USERS: \[/m },
  { of: 'scripts/secrets nats-cluster', prints: /^server_name: "node1"$/m },
  { of: 'nats-server -c', fill: [['nats.conf', at('nats-conf', 'nats.conf')]], prints: /is valid/ },
  { of: 'nats-server --signal reload', isQuiet: true, fill: [['reload', `reload=${system.nats.pid()}`]], after: async () => { await until('it is read anew', () => /Reloaded server configuration/.test(readFileSync(system.nats.logFile, 'utf8')) || undefined) } },
  { of: 'sed -i', fill: [['https://…', 'https://docs.example']], after: async () => { t.same(globSync(at('dashboards/*.json')).filter((file) => readFileSync(file, 'utf8').includes('klaim.invalid')), [], 'panels link to the runbook') } },
  { of: 'install -d', fill: [['-o klaim', `-o ${process.getuid?.() ?? 0}`]] },
  { of: /<backup>/, fill: [['<backup>', 'saved'], ['<server>', 'of-the-member']], after: async () => { t.ok(existsSync(at('wings/volumes/of-the-member/index.js'))) } },
  { of: 'install -m', fill: [['-o prometheus', `-o ${process.getuid?.() ?? 0}`]], after: async () => { t.equal(statSync(at('alerts_secret')).mode & 0o777, 0o600) } },
  { of: 'amtool check-config', prints: /SUCCESS/ },
  { of: /alertname=Trial/, isQuiet: true, after: async () => { await until('who is on call hears it', () => heard.some(({ to, alerts }) => to === '/on-call' && alerts.some(({ labels }) => labels['alertname'] === 'Trial')) || undefined) } },
  { of: /server report jetstream/, prints: /JetStream Summary/ },
  { of: /internal\/pairing$/, prints: /"state":"linked"/ },
  { of: 'scripts/erase', input: `${numberOf(MEMBER.former[0])}\n`, prints: /^(?:WhatsApp number: )?Erased: \w{20}/ },
  { of: 'scripts/erase <', fill: [['<claim_id or member_id>', claims.former[1]]] },
  { of: /claim-store\.erase/, fill: [['"claim_id":"…"', `"claim_id":"${claims.former[2]}"`]] },
  { of: 'scripts/migrate-book --to sqlite', prints: /claims\.sqlite is the book/ },
  { of: 'scripts/migrate-book --to json', prints: /claims\.json is the book/ },
  { of: 'sqlite3', prints: /^active\|2$/m },
  { of: /scripts\/webhook-notice </, fill: [['https://…', system.gatewayUrls[0] ?? ''], ['/etc/klaim/webhook_secret', '/etc/klaim/webhook_secrets'], ['GROUP_ID=…@g.us', `GROUP_ID=${system.group}`], ['movements.jsonl', at('movements.jsonl')]], prints: /^1 stored$/m },
  { of: 'scripts/dead-letters', fill: async () => [['17', await found('scripts/dead-letters list', /^\s*(\d+)\s/m)]] },
  { of: 'scripts/dead-letters list', prints: /MESSAGE_INVALID/ },
  { of: 'scripts/dead-letters replay', code: 2, prints: /MESSAGE_INVALID/ },
  { of: 'scripts/drift', before: strayAccount },
  { of: 'scripts/drift plan', code: 1, prints: /^Plan \w+/m },
  { of: 'scripts/drift apply', before: async () => await operator.run('nats request klaim.reaper.set_brake \'{"tripped":false,"by":"on call","why":"looked at it"}\''), fill: async () => [['<hash of the plan>', await found('scripts/drift plan', /^Plan (\w+)/m)]] },
  { of: 'scripts/backup', prints: /^✓ .*restored and compared$/m },
  { of: 'scripts/sbom', prints: /packages\.$/m },
  { of: /9090\/-\/ready$/, prints: /Ready/ },
  { of: /9093\/-\/ready$/, prints: /OK/ },
  { of: /activeAlertmanagers$/, prints: /"url"/ },
  { of: /\.labels\.service, \.health/, prints: /^claim-store\tup\t$/m },
  { of: /9093\/api\/v2\/alerts/, prints: /\tWatchdog\t/ },
  { of: /8222\/healthz/, prints: /"status":"ok"/ },
  { of: 'nats server check connection', prints: /^OK/m },
  { of: 'nats stream edit', prints: /Max/ },
  { of: 'nats stream get <', fill: [['<stream> <sequence>', 'CLAIMS 1']], prints: /ce-type: klaim\.claim\.requested/ },
  { of: /nats kv (?:get|del) /, fill: rosterKey },
  { of: 'nats kv del roster', before: async () => { await system.kill('bot', 'SIGTERM') }, after: async () => { await system.start('bot') } },
  { of: /\$CLAIM/, env: { CLAIM: claims.failed } },
  { of: 'nats stream rm CLAIMS', before: stopServices },
  // Of what did not happen here.
  { of: /^nats (?:kv del|stream rm)|DELETION_OF_PRESENT|\.health != "up"/, isQuiet: true },
]
const fits = (command: string, { of }: Way): boolean => typeof of === 'string' ? command.startsWith(of) : of.test(command)

/** What stays, with what is added so that it keeps to itself, and the sign that it works. */
const STAYING = [
  ['prometheus --', ` --storage.tsdb.path=${at('tsdb')} --web.listen-address=${local(port.prometheus)}`, async () => (await fetch(`http://${local(port.prometheus)}/-/ready`)).ok],
  ['prometheus-alertmanager --', ` --storage.path=${at('alertmanager')}`, async () => (await fetch(`http://${local(port.alertmanager)}/-/ready`)).ok],
  ['scripts/backup --every', '', () => existsSync(operator.env['BACKUP_METRICS_FILE'] ?? '')],
] as const
const staysOf = (command: string): typeof STAYING[number] | undefined => STAYING.find(([begins]) => command.startsWith(begins))

const ending: Array<() => Promise<void>> = []
t.teardown(async () => { await Promise.all(ending.map(async (end) => { await end() })) })
for (const command of here.filter(staysOf)) {
  t.test(command, async () => {
    const [, more = '', isUp = () => true] = staysOf(command) ?? []
    const child = operator.start(`exec ${command}${more}`)
    ending.push(async () => { child.kill('SIGTERM'); await once(child, 'exit') })
    await until('it works', async () => await isUp() || undefined)
  })
}
t.test('Prometheus has looked around', async () => {
  await until('the watchdog has arrived', () => heard.some(({ to }) => to === '/dead-mans-switch') || undefined)
})

// What cannot be undone comes last.
const isLast = (command: string): boolean => command.startsWith('nats stream rm')
for (const command of [...here.filter((each) => !staysOf(each) && !isLast(each)), ...here.filter(isLast)]) {
  t.test(command, async (t) => {
    const ways = WAYS.filter((way) => fits(command, way))
    for (const { before } of ways) await before?.()
    const fill = (await Promise.all(ways.map(async ({ fill: given = [] }) => typeof given === 'function' ? await given() : given))).toReversed().flat()
    const call = Object.assign({}, ...ways.map(({ env, input, isAtTerminal }) => ({ ...(env && { env }), ...(input !== undefined && { input }), ...(isAtTerminal && { isAtTerminal }) }))) as Call
    const expected = ways.findLast((way) => way.code !== undefined)?.code ?? 0
    let { code, said } = await operator.run(command, { ...call, fill })
    for (let tries = ways.findLast((way) => way.tries !== undefined)?.tries ?? 1; code !== expected && tries > 1; tries--) ({ code, said } = await operator.run(command, { ...call, fill }))
    const isWell = t.equal(code, expected, 'its exit code')
    if (!isWell || !ways.some(({ isQuiet }) => isQuiet)) t.match(said.trim(), /\S/, 'it says something')
    for (const { prints } of ways) if (prints) t.match(said.replaceAll('\r', ''), prints)
    if (!t.passing()) t.comment(said.slice(0, 2_000))
    for (const { after } of ways) await after?.()
  })
}
