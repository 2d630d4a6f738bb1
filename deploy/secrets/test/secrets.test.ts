import t, { type Test } from 'tap'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createOpener, createSealer } from '../../../services/common/seal.ts'
import { SERVICES } from '../../staging/system.ts'
import { SECRETS, secretsFor, type SecretName } from '../catalogue.ts'
import { createMissing } from '../creation.ts'
import { makeDirectory, nextOf, type Directory } from '../directory.ts'
import { natsKeys } from '../nats-keys.ts'
import { ROTATIONS, type Phase } from '../rotation.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const PANEL_KEY = `ptla_${'k'.repeat(43)}`

function run (args: readonly string[], input = ''): { status: number | null, output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/secrets.ts'), ...args], { input, encoding: 'utf8', env: { PATH: process.env['PATH'] } })
  return { status, output: stdout + stderr }
}

function fullSet (t: Test): Directory {
  const directory = makeDirectory(join(t.testdir(), 'secrets'))
  createMissing(directory)
  directory.write('panel_key', PANEL_KEY)
  return directory
}
const rotate = (directory: Directory, name: string, phase: Phase): void => { ROTATIONS[name]?.[phase]?.carryOut(directory) }

t.test('a full set', async (t) => {
  const path = join(t.testdir(), 'secrets')
  const first = run(['create', path])
  t.equal(first.status, 0)
  t.match(first.output, /made internal_secret, for gateway, reaper, bot/)
  t.match(first.output, /panel_key is missing: make an application key on the panel/, 'but for what only the panel can make')
  t.equal(statSync(path).mode & 0o777, 0o700)
  const files = readdirSync(path)
  t.equal(files.length, SECRETS.length - 3, 'and nobody has to be told of alerts, or to claim for the canary')
  for (const file of files) t.equal(statSync(join(path, file)).mode & 0o777, 0o600, file)
  t.equal(run(['check', path]).status, 1, 'is not complete without the key of the panel')
  t.equal(run(['put', 'panel-key', path], 'nonsense\n').status, 1)
  t.equal(run(['put', 'panel-key', path], `${PANEL_KEY}\n`).status, 0)
  t.match(run(['put', 'alert-numbers', path], '+62 812 0000 0001\n'), { status: 1, output: /is no list of one to five numbers/ })
  t.match(run(['put', 'alert-numbers', path], '6281200000001,6281300000002\n'), { status: 0, output: /Restart now: bot/ })
  t.match(run(['put', 'canary-number', path], '6281200000001,6281300000002\n'), { status: 1, output: /is no number/ })
  t.match(run(['put', 'canary-number', path], '6281200000001\n'), { status: 0, output: /Restart now: the canary/ })
  t.equal(run(['put', 'internal-secret', path], 'x').status, 64, 'nothing else is given by hand')
  const before = new Map(readdirSync(path).map((file) => [file, readFileSync(join(path, file), 'utf8')]))
  rmSync(join(path, 'login_public_key'))
  const second = run(['create', path])
  t.match(second.output, /made login_public_key/, 'what is missing is made')
  for (const [file, text] of before) t.equal(readFileSync(join(path, file), 'utf8'), text, `${file} is kept, or the same again`)
  const checked = run(['check', path])
  t.equal(checked.status, 0, checked.output)
  const secrets = [...before.values()].flatMap((text) => text.startsWith('{') ? [...text.matchAll(/"d":"([^"]+)"/g)].map(([, d]) => d ?? '') : [text])
  t.same(secrets.filter((secret) => (first.output + second.output + checked.output).includes(secret)), [], 'no secret is ever shown')
})

t.test('what is wrong with a set is said', async (t) => {
  const broken = (spoil: (path: string) => void): string => {
    const { path } = fullSet(t)
    spoil(path)
    const { status, output } = run(['check', path])
    t.equal(status, 1)
    return output
  }
  t.match(broken((path) => { chmodSync(join(path, 'session_key'), 0o640) }), /session_key can be read by others: chmod 600/)
  t.match(broken((path) => { chmodSync(path, 0o755) }), /can be entered by others: chmod 700/)
  t.match(broken((path) => { rmSync(join(path, 'member_id_key')) }), /member_id_key cannot be read/)
  t.match(broken((path) => { writeFileSync(join(path, 'internal_secret'), 'short', { mode: 0o600 }) }), /internal_secret is shorter than 32 characters/)
  t.match(broken((path) => { writeFileSync(join(path, 'notes'), 'x', { mode: 0o600 }) }), /notes is none of ours/)
  const other = readFileSync(join(fullSet(t).path, 'login_public_key'), 'utf8')
  t.match(broken((path) => { writeFileSync(join(path, 'login_public_key'), other) }), /login_public_key has no private key/, 'a public key of another set')
  t.match(broken((path) => { writeFileSync(join(path, 'login_public_key'), JSON.stringify(JSON.parse(readFileSync(join(path, 'login_private_keys'), 'utf8')).keys[0])) }), /holds a private key/)
  const { path: theirs } = fullSet(t)
  // Only root can give a directory away; for others the root directory is somebody else's.
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(theirs, 12_345, -1)
  t.match(run(['create', isRoot ? theirs : '/']), { status: 1, output: /belongs to user \d+: run this as that user/ })
  t.match(run(['check', `${theirs}.none`]), { status: 1, output: /there is no .*scripts\/secrets create/ })
  t.equal(run([]).status, 64)
  t.equal(run(['rotate', 'internal-secret', 'end', fullSet(t).path]).status, 64)
})

t.test('each service is told of its own secrets only', async (t) => {
  const { path } = fullSet(t)
  t.same(Object.fromEntries(SERVICES.map((service) => [service, secretsFor(service).map(({ variable }) => variable)])), {
    'claim-store': ['MEMBER_ID_KEY', 'LEDGER_KEYS', 'NATS_NKEY_SEED'], provisioner: ['LOGIN_PUBLIC_KEY', 'PANEL_KEY', 'NATS_NKEY_SEED'], reaper: ['INTERNAL_SECRET', 'NATS_NKEY_SEED'], notifier: ['NATS_NKEY_SEED'],
    bot: ['MEMBER_ID_KEY', 'INTERNAL_SECRET', 'ALERTS_SECRET', 'ALERT_NUMBERS', 'SESSION_KEY', 'LOGIN_PRIVATE_KEYS', 'NATS_NKEY_SEED'], gateway: ['MEMBER_ID_KEY', 'INTERNAL_SECRET', 'WEBHOOK_SECRETS', 'NATS_NKEY_SEED'],
  })
  t.equal(run(['environment', 'provisioner', path]).output, `LOGIN_PUBLIC_KEY_FILE=${path}/login_public_key\nPANEL_KEY_FILE=${path}/panel_key\nNATS_NKEY_SEED_FILE=${path}/nats_provisioner.nk\n`)
})

for (const [name, variable] of [['internal-secret', 'INTERNAL_SECRET'], ['alerts-secret', 'ALERTS_SECRET'], ['session-key', 'SESSION_KEY'], ['webhook-secret', 'WEBHOOK_SECRETS']] as const satisfies ReadonlyArray<readonly [string, SecretName]>) {
  t.test(`rotating the ${name}`, async (t) => {
    const directory = fullSet(t)
    const { file } = SECRETS.find((secret) => secret.variable === variable) ?? { file: '' }
    const old = directory.text(file)
    const phases = Object.keys(ROTATIONS[name] ?? {}) as Phase[]
    t.throws(() => { rotate(directory, name, 'finish') }, /begin first/)
    rotate(directory, name, 'begin')
    const next = directory.text(nextOf(file))
    t.equal(directory.text(file), `${old},${next}`, 'the new one stands behind the old')
    if (phases.includes('switch')) {
      t.throws(() => { rotate(directory, name, 'finish') }, /the phase before this one is missing/, 'no phase is left out')
      rotate(directory, name, 'switch')
      t.equal(directory.text(file), `${next},${old}`, 'then before it')
      t.throws(() => { rotate(directory, name, 'begin') }, /past this phase/)
      rotate(directory, name, 'switch')
      t.equal(directory.text(file), `${next},${old}`, 'a phase may be repeated')
    } else {
      rotate(directory, name, 'begin')
      t.equal(directory.text(file), `${old},${next}`, 'a phase may be repeated')
    }
    rotate(directory, name, 'finish')
    t.equal(directory.text(file), next, 'then alone')
    t.notOk(directory.has(nextOf(file)))
    t.equal(run(['check', directory.path]).status, 0)
  })
}

t.test('a rotation that died on any line goes on where it was', async (t) => {
  const directory = fullSet(t)
  const old = directory.text('internal_secret')
  directory.write(nextOf('internal_secret'), 'n'.repeat(64))
  rotate(directory, 'internal-secret', 'begin')
  t.equal(directory.text('internal_secret'), `${old},${'n'.repeat(64)}`, 'after the new one was made')
  rotate(directory, 'internal-secret', 'switch')
  directory.write('internal_secret', 'n'.repeat(64))
  rotate(directory, 'internal-secret', 'finish')
  t.equal(directory.text('internal_secret'), 'n'.repeat(64), 'after the old one was dropped')
  t.notOk(directory.has(nextOf('internal_secret')))
  writeFileSync(directory.at('.internal_secret.new'), 'left behind', { mode: 0o644 })
  directory.write('internal_secret', 'w'.repeat(64))
  t.equal(statSync(directory.at('internal_secret')).mode & 0o777, 0o600, 'what a dead run left aside lends its mode to nothing')
})

t.test("rotating the key of members' ids", async (t) => {
  const directory = fullSet(t)
  const old = directory.text('member_id_key')
  t.throws(() => { rotate(directory, 'member-id-key', 'finish') }, /begin first/)
  rotate(directory, 'member-id-key', 'begin')
  rotate(directory, 'member-id-key', 'begin')
  t.equal(directory.text('member_id_key'), old, 'services have the old one until everything is re-keyed')
  const next = directory.text(nextOf('member_id_key'))
  rotate(directory, 'member-id-key', 'finish')
  t.equal(directory.text('member_id_key'), next)
  t.equal(run(['check', directory.path]).status, 0)
})

t.test('rotating the login key', async (t) => {
  const directory = fullSet(t)
  const sealed = async (secret: string): Promise<string> => await (await createSealer(directory.text('login_public_key')))(secret)
  const opened = async (text: string): Promise<string> => await (await createOpener(directory.text('login_private_keys')))(text)
  const old = await sealed('sealed before')
  t.throws(() => { rotate(directory, 'login-key', 'switch') }, /begin first/)
  rotate(directory, 'login-key', 'begin')
  t.equal(await opened(await sealed('sealed meanwhile')), 'sealed meanwhile', 'the bot has both before the provisioner has the new one')
  t.throws(() => { rotate(directory, 'login-key', 'finish') }, /the phase before this one is missing/)
  rotate(directory, 'login-key', 'switch')
  rotate(directory, 'login-key', 'begin')
  t.equal(await opened(await sealed('sealed after')), 'sealed after')
  t.equal(await opened(old), 'sealed before', 'what is on its way can still be opened')
  t.equal(run(['check', directory.path]).status, 0)
  rotate(directory, 'login-key', 'finish')
  t.equal(await opened(await sealed('sealed last')), 'sealed last')
  await t.rejects(opened(old), { code: 'SEAL_UNREADABLE' }, 'until the old key is dropped')
  t.equal(run(['check', directory.path]).status, 0)
})

t.test('rotating a key on NATS', async (t) => {
  const directory = fullSet(t)
  const [name, file] = ['nats-bot', 'nats_bot.nk']
  const [old] = natsKeys(directory).bot
  for (const phase of ['switch', 'finish'] as const) t.throws(() => { rotate(directory, name, phase) }, /begin first|phase before this one/, 'no phase is left out')
  for (let times = 0; times < 2; times++) rotate(directory, name, 'begin')
  const [, next = ''] = natsKeys(directory).bot
  t.same(natsKeys(directory).bot, [old, next], 'NATS lets both in, and a phase may be repeated')
  t.throws(() => { rotate(directory, name, 'finish') }, /phase before this one/)
  // Dead between the two files.
  directory.write(`${file}.old`, directory.text(file))
  for (let times = 0; times < 2; times++) rotate(directory, name, 'switch')
  t.same(natsKeys(directory).bot, [next, old], 'the service has the new one, and NATS still lets both in')
  t.throws(() => { rotate(directory, name, 'begin') }, /past this phase/)
  rotate(directory, name, 'finish')
  t.same(natsKeys(directory).bot, [next])
  t.equal(run(['check', directory.path]).status, 0)
})

t.test('rotating the key of the ledger', async (t) => {
  const directory = fullSet(t)
  const old = directory.text('ledger_keys')
  rotate(directory, 'ledger-key', 'begin')
  const [first, next = ''] = directory.text('ledger_keys').split(',')
  t.equal(first, old, 'every claim-store knows the new one before any signs with it')
  rotate(directory, 'ledger-key', 'finish')
  t.equal(directory.text('ledger_keys'), `${next},${old}`, 'and what the old one signed stays believed')
  t.throws(() => { rotate(directory, 'ledger-key', 'finish') }, /begin first/)
})
