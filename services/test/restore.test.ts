import t from 'tap'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { startSystem, SERVICES } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { loginsIn, numberOf, settled, stored } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'
import { carryOut, procedure } from './procedures.ts'

// The runbook's way back after NATS' store is lost, by its own commands, with a member in each state at the backup.
const GRACE_MS = 60_000
const [ACTIVE, LEAVING, CREATING, LATER] = [1, 2, 3, 4]
const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-restore-')), graceMs: GRACE_MS, members: 12,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '6000', PANEL_DOUBLE_START_DELAY_MS: '100' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '50' },
    bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(() => system.close())

const member = (number: number) => actor(system, numberOf(number))
const becomes = async (claimId: string, status: string): Promise<void> => { await member(ACTIVE).becomes(claimId, status) }
const serversOf = async (claimId: string): Promise<number[]> => (await panelState(system)).servers.filter(({ externalId }) => externalId === claimId).map(({ id }) => id)
const secret = (file: string): string => join(system.secretsDirectory, file)

const state = (...path: string[]): string => join(dirname(system.logDirectory), ...path)
const backups = state('backups')
const env = {
  NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: secret('nats_operator.nk'), LEDGER_KEYS_FILE: secret('ledger_keys'), NATS_SERVER: process.env['NATS_SERVER'] ?? '',
  BOOK_FILE: state('book', 'claims.json'), BACKUP_DIRECTORY: backups, BACKUP_METRICS_FILE: state('klaim_backup.prom'),
}
const backUp = async (): Promise<string> => await carryOut('scripts/backup', system.secretsDirectory, { env })
/** The runbook's command of a step, with the newest backup; what it prints of codes is filled in by the caller. */
async function command (step: number, more = ''): Promise<string> {
  const newest = readdirSync(backups).filter((name) => name.endsWith('.tar.gz')).toSorted().at(-1) ?? ''
  const text = procedure('NATS\' store is lost.')[step - 1]?.command ?? ''
  return await carryOut(text.replace('BACKUP', join(backups, newest)) + more, system.secretsDirectory, { env })
}
const stop = async (): Promise<void> => { await Promise.all(SERVICES.map(async (service) => { await system.kill(service, 'SIGTERM') })) }

/** What a person does with the bot's phone, as the runbook asks for after a restore. */
async function linkAnew (): Promise<void> {
  const headers = { 'x-internal-secret': readFileSync(secret('internal_secret'), 'utf8').trim() }
  const shown = new Set<string>()
  await until('the bot is linked', async () => {
    const { state, qr } = await (await fetch(`${system.botUrl}/internal/pairing`, { headers })).json() as { state: string, qr?: string }
    if (state === 'linked') return true
    if (qr === undefined || shown.has(qr)) return undefined
    shown.add(qr)
    await fetch(`${system.whatsappUrl}/pair`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ qr }) })
    return undefined
  })
}

t.test('after the store is lost services go on where the backup was', async (t) => {
  const [active, leaving] = [await member(ACTIVE).claimed(), await member(LEAVING).claimed()]
  await Promise.all([active, leaving].map(async (claimId) => { await becomes(claimId, 'active') }))
  await member(LEAVING).leave()
  await becomes(leaving, 'deleting')
  await member(LEAVING).hears(/akan dihapus/)
  await until('the logins have arrived', async () => (await Promise.all([ACTIVE, LEAVING].map(async (number) => loginsIn(await member(number).chat()).length))).every((logins) => logins === 1) || undefined)
  const { deletion_scheduled_at: promised = '' } = await member(LEAVING).progress(leaving)
  const creating = await member(CREATING).claimed()
  await until('its server is being installed', async () => (await serversOf(creating)).length === 1 || undefined)

  t.match(await backUp(), /✓ .* restored and compared/)
  t.match(readFileSync(env.BACKUP_METRICS_FILE, 'utf8'), /klaim_backups\{verified="true"\} 1/)
  const made = await member(ACTIVE).progress(creating)
  t.equal(made.status, 'creating', 'the backup was made while a server was')
  // What the backup cannot know: it came to its end, and somebody else came.
  await becomes(creating, 'active')
  await until('its login has arrived', async () => loginsIn(await member(CREATING).chat()).length === 1 || undefined)
  const later = await member(LATER).claimed()
  await becomes(later, 'active')
  await settled(system)

  await t.rejects(command(2), /still running/, 'not while services run')
  await stop()
  await system.nats.kill()
  rmSync(system.nats.storeDir, { recursive: true })
  await system.nats.restart()
  const dry = await command(2)
  t.match(dry, new RegExp(`${later} active server ${String((await serversOf(later))[0])}`), 'the claim that came later is named')
  t.match(dry, /link it anew/)
  t.match(await command(3), /✓ restored and compared/)
  const starting = SERVICES.map(async (service) => { await system.start(service) })
  await linkAnew()
  await Promise.all(starting)

  t.equal((await member(ACTIVE).claim()).body.error?.code, 'ALREADY_CLAIMED', 'a member with a server is known')
  t.equal((await member(LEAVING).progress(leaving)).deletion_scheduled_at, promised, 'what was promised stands')
  t.ok(Date.parse(promised) > Date.now(), 'and is still to come')
  await becomes(creating, 'active')
  await until('the deletion is scheduled again', async () => await stored(system, 'DELETIONS', 'deletions.pending.*') === 1 || undefined)
  await until('the scheduled deletion happens', async () => (await serversOf(leaving)).length === 0 || undefined)
  t.ok(Date.now() >= Date.parse(promised), 'at its time, not before')
  await member(LEAVING).hears(/sudah dihapus/)
  await settled(system)
  t.same([(await serversOf(active)).length, (await serversOf(creating)).length, (await panelState(system)).serverCreates], [1, 1, 4], 'no server was made a second time')
  t.same(await Promise.all([ACTIVE, LEAVING].map(async (number) => loginsIn(await member(number).chat()).length)), [1, 1], 'no login was sent a second time')
  const logins = loginsIn(await member(CREATING).chat())
  const newest = logins.at(-1)
  t.ok(logins.length <= 2, 'who was in hand is told once more at most')
  t.ok(newest && await member(CREATING).logsIn(newest.username, newest.password), 'the newest login of who was in hand opens the account')
  t.equal((await member(LEAVING).chat()).filter(({ text }) => /akan dihapus/.test(text)).length, 1, 'nobody is warned again')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
})

t.test('after one stream is lost all go back to the same moment', async (t) => {
  const { body: { error } } = await member(ACTIVE).claim()
  const active = error?.claim_id ?? ''
  await backUp()
  const later = await member(LATER).claimed()
  await becomes(later, 'active')
  await stop()
  const connection = await connectNats(system.nats.access('operator'), 'operator')
  await (await jetstreamManager(connection)).streams.delete('CLAIMS')
  await connection.close()
  await t.rejects(command(3), /is not what --overwriting names/, 'the streams that are left are not overwritten unseen')
  const dry = await command(2)
  t.notMatch(dry, /link it anew/, 'the session is still there')
  t.match(dry, new RegExp(`${later} active`))
  t.match(await command(3, / --overwriting [0-9a-f]{8}/.exec(dry)?.[0]), /✓ restored and compared/)
  await Promise.all(SERVICES.map(async (service) => { await system.start(service) }))
  t.equal((await member(ACTIVE).claim()).body.error?.claim_id, active)
  t.equal(await member(LATER).progress(later).then(() => 'known', () => 'unknown'), 'unknown')
  await settled(system)
  t.equal(loginsIn(await member(ACTIVE).chat()).length, 1, 'nothing is told again')
  t.equal((await serversOf(active)).length, 1)
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
})
