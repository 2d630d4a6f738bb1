// scripts/doctor beside a whole system, watched as in production: all is well; then one thing after another is not, and is told in its line.
import t from 'tap'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { STREAMS } from '../../../contracts/streams.ts'
import { newSeed } from '../../../deploy/secrets/nats-seed.ts'
import { keySet, newKey, publicOf } from '../../../deploy/secrets/login-keys.ts'
import { newPanelKey } from '../../../deploy/staging/secrets.ts'
import { connectNats } from '../../../services/common/connect.ts'
import { actor, panelState, until } from '../../../services/test/journey.ts'
import { CHECKS } from '../checks.ts'
import { startWatched } from './watched.ts'

const watched = await startWatched(t)
const { system, visit, run, secretsWith } = watched
const member = actor(system, '6281200000001')
const { body: { claim_id: claimId } } = await member.claim()
await until('the claim is active', async () => (await member.progress(claimId)).status === 'active' || undefined)
const { code: backedUp } = await run('scripts/backup.ts')
const operator = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => operator.close())
const jsm = await jetstreamManager(operator)

const other = (): string => randomBytes(32).toString('hex')
const post = async (url: string, body: object = {}): Promise<void> => {
  const { ok } = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!ok) throw new Error(`${new URL(url).pathname} was refused`)
}
/** A key of the panel's with exactly these rights, in a copy of the secrets. */
async function keyWith (rights: Record<string, number>): Promise<{ SECRETS_DIRECTORY: string }> {
  const key = newPanelKey()
  const least = { servers: 3, users: 3, nodes: 1, allocations: 1, nests: 1, eggs: 1, locations: 0, database_hosts: 0, server_databases: 0 }
  await post(`${system.panelUrl}/__double/add-key`, { key, rights: { ...least, ...rights } })
  return { SECRETS_DIRECTORY: secretsWith({ panel_key: key }) }
}
/** Templates as they are, changed. */
function templatesWith (change: (nodejs: Record<string, unknown>) => void): { TEMPLATES_FILE: string } {
  const file = JSON.parse(readFileSync(watched.env['TEMPLATES_FILE'] ?? '', 'utf8')) as { templates: { nodejs: Record<string, unknown> } }
  change(file.templates.nodejs)
  const path = join(watched.directory, 'templates-changed.json')
  writeFileSync(path, JSON.stringify(file))
  return { TEMPLATES_FILE: path }
}
/** What is not well, and what is said of one of it. */
async function told (name: string, changed: Parameters<typeof visit>[0] = {}): Promise<[readonly string[], string]> {
  const { bad, finding } = await visit(changed)
  return [bad, finding(name)]
}

t.test('where all is well', async (t) => {
  t.equal(backedUp, 0, 'there is a backup')
  const stored = async () => await Promise.all(STREAMS.filter(({ name }) => name !== 'LIMITS').map(async ({ name }) => (await jsm.streams.info(name)).state.last_seq))
  const before = [await stored(), (({ users, servers }) => ({ users, servers }))(await panelState(system))]
  const { bad, names, remarks } = await visit(await keyWith({}))
  t.same(bad, [])
  t.same(names, CHECKS.map(({ name }) => name), 'everything on the list was looked at')
  t.same(remarks, [], 'and there is nothing to remark')
  t.same([await stored(), (({ users, servers }) => ({ users, servers }))(await panelState(system))], before, 'nothing was changed by the look')

  const { said, code: plain } = await run('scripts/doctor.ts')
  t.equal(plain, 0)
  t.match(said, /^✓ panel-key +it may do what Klaim needs {2}\(RUNBOOK\.md#doctor-panel-key\)\n {4}remark: it may also do what Klaim does not need: allocations write\n/, 'for people a line each; rights beyond what is needed are a remark')
  t.match(said, /\nGo\.\n$/)
  const secrets = ['panel_key', 'internal_secret', 'webhook_secrets', 'session_key', 'member_id_key', 'nats_operator.nk'].map((file) => readFileSync(join(system.secretsDirectory, file), 'utf8').trim())
  t.same([...secrets, '6281200000001'].filter((secret) => said.includes(secret)), [], 'no secret and no number is told')
})

t.test('what cannot be looked at', async (t) => {
  const unset = { GRAFANA_URL: undefined, PROMETHEUS_URL: undefined }
  const four = ['prometheus-targets', 'prometheus-rules', 'prometheus-alertmanager', 'grafana']
  const { code, said } = await run('scripts/doctor.ts', ['--json'], unset)
  const lines = said.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>)
  t.same([code, lines.at(-1)], [1, { go: false, bad: four, left_out: [] }], 'is no reason to go')
  t.same(lines.map(({ check }) => check).slice(0, -1), CHECKS.map(({ name }) => name))
  t.same(lines.find(({ check }) => check === 'grafana'), {
    check: 'grafana', verdict: 'unknown', finding: 'not looked at: GRAFANA_URL is not set', remarks: [], todo: 'config/.env.example, scripts/doctor', runbook: 'RUNBOOK.md#doctor-grafana',
  })
  const without = await run('scripts/doctor.ts', ['--without', 'prometheus,grafana'], unset)
  t.equal(without.code, 0, 'unless it is left out on purpose')
  t.match(without.said, new RegExp(`\nGo, without ${four.join(', ')}\\.\n$`), 'which is said')
  t.equal((await run('scripts/doctor.ts', ['--without', 'everything'])).code, 64)
  t.equal((await run('scripts/doctor.ts', [], { NATS_URL: undefined })).code, 64)
})

t.test('the panel and what is offered', async (t) => {
  for (const [name, rights, missing] of [['users', { users: 1 }, 'users write'], ['servers', { servers: 1 }, 'servers write']] as const) {
    t.same(await told('panel-key', await keyWith(rights)), [['panel-key'], `it may not: ${missing}`], `a key that may only read ${name}`)
  }
  t.same(await told('panel-key', await keyWith({ eggs: 0 })), [['panel-key', 'panel-eggs'], 'it may not: eggs read'], 'a key that may not read eggs, which then are not looked at either')
  t.same(await told('panel-key', { SECRETS_DIRECTORY: secretsWith({ panel_key: newPanelKey() }) }), [['panel-key', 'panel-nodes', 'panel-eggs'], 'the panel does not know the key'])

  const changes: Array<[string, string, (nodejs: Record<string, unknown>) => void]> = [
    ['panel-eggs', 'nodejs: the panel has no egg 99 in nest 5', (nodejs) => { nodejs['egg'] = 99 }],
    ['panel-eggs', 'nodejs: the image ghcr.io/example/other:1 is none of', (nodejs) => { nodejs['image'] = 'ghcr.io/example/other:1' }],
    ['panel-eggs', 'nodejs: environment.MAIN_FILE is missing', (nodejs) => { delete (nodejs['environment'] as Record<string, string>)['MAIN_FILE'] }],
    ['panel-nodes', 'the panel has no node 9', (nodejs) => { nodejs['nodes'] = [1, 9] }],
  ]
  for (const [check, finding, change] of changes) {
    const [bad, said] = await told(check, templatesWith(change))
    t.same(bad, [check], finding)
    t.match(said, finding)
  }
  t.same((await visit(templatesWith((nodejs) => { nodejs['version'] = 'one' }))).bad, ['panel-nodes', 'panel-eggs', 'templates'], 'templates that cannot be read, and so nothing that they name')
})

t.test('streams, consumers and buckets', async (t) => {
  const { config: stream } = await jsm.streams.info('MESSAGES')
  await jsm.streams.update('MESSAGES', { ...stream, max_msgs: 1_000 })
  t.same(await told('nats-streams'), [['nats-streams'], 'MESSAGES: max_msgs is 1000, which is set nowhere'], 'a limit that somebody set by hand')
  await jsm.streams.update('MESSAGES', { ...stream, max_msgs: -1 })

  await jsm.consumers.delete('CLAIMS', 'notifier-claims')
  t.same(await told('nats-consumers'), [['nats-consumers'], 'notifier-claims is not there'])
  await system.nats.restoreTopology()

  const { config: bucket } = await jsm.streams.info('KV_brake')
  await jsm.streams.update('KV_brake', { ...bucket, max_msg_size: 1_000 })
  t.same(await told('nats-buckets'), [['nats-buckets'], 'brake: max_msg_size is 1000, and should be 524288'])
  await jsm.streams.add({ name: 'ELSE', subjects: ['else.>'] })
  await system.nats.restoreTopology()
  const { bad, remarks } = await visit(await keyWith({}))
  t.same([bad, remarks], [[], ["ELSE is none of Klaim's streams"]], 'somebody else\'s stream is a remark')
  await jsm.streams.delete('ELSE')
})

t.test('secrets', async (t) => {
  const open = secretsWith({})
  chmodSync(join(open, 'nats_reaper.nk'), 0o644)
  const [bad, said] = await told('secrets-files', { SECRETS_DIRECTORY: open })
  t.same(bad, ['secrets-files'], 'a file that others may read')
  t.match(said, /^nats_reaper\.nk can be read by others: chmod 600 /)

  const key = newKey()
  const changes: Array<[readonly string[], Record<string, string>]> = [
    [['secrets-members'], { member_id_key: other() }], [['secrets-ledger'], { ledger_keys: other() }], [['secrets-session'], { session_key: other() }], [['secrets-internal'], { internal_secret: other() }],
    [['webhook'], { webhook_secrets: other() }], [['secrets-files', 'secrets-login'], { login_public_key: JSON.stringify(publicOf(key)) }], [['nats-servers', 'nats-storage'], { 'nats_system.nk': newSeed() }],
  ]
  for (const [checks, changed] of changes) {
    const { bad } = await visit({ SECRETS_DIRECTORY: secretsWith(changed) })
    t.same(bad, checks, `another ${Object.keys(changed)[0]} than the services have`)
  }
  t.same((await visit({ SECRETS_DIRECTORY: secretsWith({ login_private_keys: keySet([newKey(), key]) }) })).bad, ['secrets-files', 'secrets-login'])
})

t.test('services, bot and what watches them', async (t) => {
  await system.kill('notifier')
  const { PROMETHEUS_URL } = watched.env
  await until('Prometheus sees that the notifier is gone', async () => (await (await fetch(`${PROMETHEUS_URL}/api/v1/query?query=up==0`)).text()).includes('"value"') || undefined)
  t.same(await told('services-registered'), [['services-registered', 'services-ready', 'prometheus-targets'], 'notifier: not there'], 'a service that is not there')
  await system.start('notifier')
  await until('Prometheus sees it again', async () => !(await (await fetch(`${PROMETHEUS_URL}/api/v1/query?query=up==0`)).text()).includes('"value"') || undefined)

  const bot = `${system.whatsappUrl}/people/6281299999990`
  const isReady = async (): Promise<boolean> => (await fetch(`${system.healthUrl('bot')}/readyz`)).ok
  await post(`${bot}/remove`)
  await until('the bot has seen that it was removed', async () => !await isReady() || undefined)
  const [bad, said] = await told('bot-group')
  t.same(bad, ['services-ready', 'bot-group'], 'a bot that is not in the group')
  t.match(said, /^it cannot tell who is in the group/)
  await post(`${bot}/join`, { how: 'admin' })
  await until('the bot sees the group again', async () => await isReady() || undefined)

  const mute = createServer()
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  t.same(await told('grafana', { GRAFANA_URL: `http://127.0.0.1:${(mute.address() as AddressInfo).port}` }), [['grafana'], 'no answer within 10 s'], 'whoever takes a question and says nothing holds up nothing else')
  mute.close()
  watched.grafana.database = 'failing'
  t.same((await visit()).bad, ['grafana'])
  watched.grafana.database = 'ok'
  const { config } = watched.alertmanager
  watched.alertmanager.config = 'route:\n  receiver: nobody\nreceivers:\n- name: nobody\n'
  t.same((await visit()).bad, ['prometheus-alertmanager'], 'an Alertmanager that tells nobody')
  watched.alertmanager.config = config
})

t.test('backups and clocks', async (t) => {
  const old = join(watched.directory, 'old-backups')
  mkdirSync(old, { mode: 0o700 })
  writeFileSync(join(old, `klaim-${new Date(Date.now() - 8 * 3_600_000).toISOString().slice(0, 19).replaceAll(':', '')}Z.tar.gz`), '')
  t.same(await told('backup', { BACKUP_DIRECTORY: old }), [['backup'], 'the newest verified backup is 8.0 h old'])

  const ahead = await visit({}, () => new Date(Date.now() + 90_000))
  t.same(ahead.bad, ['clock-here', 'webhook'], 'a clock of this machine that is a minute and a half ahead, so that the gateway takes nothing of it')
  t.match(ahead.finding('clock-here'), /^this machine is (89|90|91)\.\d s ahead of NATS$/)
})

t.test('without NATS', async (t) => {
  await system.nats.kill()
  const { code, said } = await run('scripts/doctor.ts')
  t.equal(code, 69)
  t.match(said, /\n✗ nats-streams +NATS cannot be reached /)
  t.match(said, /\n✓ panel-nodes [^]*\n✓ disk-nats /, 'the rest is looked at all the same')
  await system.nats.restart()
})
