import t from 'tap'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startSystem, SERVICES, type Service } from '../../deploy/staging/system.ts'
import { chats, loginsIn, numberOf, settled, stored, withStreams } from './crowd.ts'
import { actor, panelState, serversMade, until } from './journey.ts'
import { carryOut, procedure } from './procedures.ts'

// The runbook's way back where the ledger is gone and only the book is left, by its own commands, with a member in each state.
const GRACE_MS = 60_000
const DOMAIN = 'members.klaim.invalid'
const [ACTIVE, LEAVING, DELETED, CREATING, UNHEARD, LATER] = [1, 2, 3, 4, 5, 6]
const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-reseed-')), graceMs: GRACE_MS, members: 12,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    reaper: { SWEEP_EVERY_MS: '1000', POSTPONE_MS: '1000', BRAKE_DEPARTURES_MIN: '50' },
    bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
t.teardown(() => system.close())

const member = (number: number) => actor(system, numberOf(number))
const becomes = async (claimId: string, status: string): Promise<void> => { await member(ACTIVE).becomes(claimId, status, { waitMs: 2 * GRACE_MS }) }
const hears = async (number: number, words: RegExp): Promise<void> => { await member(number).hears(words, { waitMs: 2 * GRACE_MS }) }
const told = async (number: number, words: RegExp): Promise<number> => (await member(number).chat()).filter(({ from, text }) => from === 'bot' && words.test(text)).length
const serversOf = async (claimId: string): Promise<number> => (await panelState(system)).servers.filter(({ externalId }) => externalId === claimId).length
const stop = async (...services: readonly Service[]): Promise<void> => { await Promise.all(services.map(async (service) => { await system.kill(service, 'SIGTERM') })) }
const secret = (file: string): string => join(system.secretsDirectory, file)

const book = join(dirname(system.logDirectory), 'book', 'claims.json')
const env = {
  NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: secret('nats_operator.nk'), LEDGER_KEYS_FILE: secret('ledger_keys'), MEMBER_ID_KEY_FILE: secret('member_id_key'),
  PANEL_URL: system.panelUrl, PANEL_KEY_FILE: secret('panel_key'), CLAIM_EMAIL_DOMAIN: DOMAIN, BACKUP_DIRECTORY: join(dirname(system.logDirectory), 'backups'),
}
const command = async (step: number): Promise<string> => await carryOut((procedure('The ledger is lost, and there is only the book.')[step - 1]?.command ?? '').replace('BOOK', book), system.secretsDirectory, { env })
const drift = async (): Promise<string> => await carryOut('scripts/drift plan', system.secretsDirectory, { env: { ...env, BOT_URL: system.botUrl, INTERNAL_SECRET_FILE: secret('internal_secret') } }).catch((error: unknown) => String(error))

/** What becomes of servers that are made from now on. */
async function installs (install: 'success' | 'never'): Promise<void> {
  const { ok } = await fetch(`${system.panelUrl}/__double/knobs`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ wings: { '*': { install } } }) })
  t.ok(ok, `servers made now: ${install}`)
}

t.test('from the book alone everybody keeps what they have', async (t) => {
  const claims = await Promise.all([ACTIVE, LEAVING, DELETED, UNHEARD].map(async (number) => await member(number).claimed()))
  const [active = '', leaving = '', deleted = '', unheard = ''] = claims
  await Promise.all(claims.map(async (claimId) => { await becomes(claimId, 'active') }))
  await member(DELETED).leave()
  await becomes(deleted, 'deleted')
  await hears(DELETED, /sudah dihapus/)
  // Somebody who went and came back: the next departure is a new one to everybody.
  await member(ACTIVE).leave()
  await hears(ACTIVE, /akan dihapus/)
  await member(ACTIVE).join()
  await hears(ACTIVE, /dibatalkan karena/)
  await member(LEAVING).leave()
  await hears(LEAVING, /akan dihapus/)
  await settled(system)
  const { deletion_scheduled_at: promised = '' } = await member(LEAVING).progress(leaving)

  await installs('never')
  const creating = await member(CREATING).claimed()
  await until('its server is being installed', async () => await serversOf(creating) === 1 || undefined)
  await installs('success')
  await t.rejects(command(2), /still running/, 'not while services run')
  await stop('provisioner', 'claim-store', 'notifier', 'gateway', 'reaper')
  // Heard by the bot and by nobody else, so the book does not know it.
  await member(UNHEARD).leave()
  await until('the bot has seen the leave', async () => await stored(system, 'MEMBERS', 'members.*.left') === 4 || undefined)
  await stop('bot')
  await t.rejects(command(2), /RESEED_REFUSED: the ledger holds .* start claim-store/, 'not while the ledger is there')

  const before = await chats(system)
  const made = await serversMade(system)
  const last = await withStreams(system, async (jsm) => {
    const { state } = await jsm.streams.info('CLAIMS')
    await jsm.streams.delete('CLAIMS')
    return state.last_seq
  })
  await carryOut('scripts/topology', system.secretsDirectory, { env })
  await t.rejects(system.start('claim-store'), 'claim-store does not start behind its book')
  const dry = await command(2)
  t.match(dry, /5 claims, to be restored as .*Nothing was changed/s)
  t.match(dry, new RegExp(`removed from the panel:\n  ${creating} creating → failed`))
  t.match(dry, /There is no backup/)
  t.match(await command(3), /✓ 5 claims/)
  t.match(await command(3), /an earlier run/, 'it may be run again')
  await withStreams(system, async (jsm) => {
    const { state } = await jsm.streams.info('CLAIMS')
    t.ok(state.first_seq > last, 'no number is given twice')
    t.equal(state.messages, 6, 'one event a claim, and one for the departure that waits')
  })
  await Promise.all(SERVICES.map(async (service) => { await system.start(service) }))

  for (const [number, claimId] of [[ACTIVE, active], [UNHEARD, unheard]] as const) {
    const answer = await member(number).claim()
    t.equal(answer.status, number === ACTIVE ? 409 : 403, 'nobody claims a second server')
    t.equal(await serversOf(claimId), 1)
  }
  t.equal((await member(ACTIVE).progress(active)).status, 'active')
  t.match(await member(LEAVING).progress(leaving), { status: 'deleting', deletion_scheduled_at: promised }, 'what was promised stands')
  t.equal((await member(DELETED).progress(deleted)).status, 'deleted')
  t.match(await member(CREATING).progress(creating), { status: 'failed', failure_code: 'INTERNAL' })
  t.equal(await serversOf(creating), 0, 'nothing half-made is left')
  await member(ACTIVE).write('STATUS')
  await hears(ACTIVE, /aktif|siap/i)

  await becomes(unheard, 'deleting')
  await hears(UNHEARD, /akan dihapus/)
  await settled(system)
  const after = await chats(system)
  t.same([LEAVING, DELETED, CREATING].map((number) => after.get(numberOf(number))?.length ?? 0), [LEAVING, DELETED, CREATING].map((number) => before.get(numberOf(number))?.length ?? 0), 'nobody is told anything twice')
  t.equal(await drift(), 'Ledger, panel and group agree.\n')

  t.equal((await member(CREATING).claim()).status, 202, 'whose server was half-made may claim again')
  t.equal((await member(LATER).claim()).status, 202, 'and so may everybody else')
  await member(ACTIVE).leave()
  await until('the leave after it warns', async () => await told(ACTIVE, /akan dihapus/) === 2 || undefined)
  await becomes(leaving, 'deleted')
  t.ok(Date.now() >= Date.parse(promised), 'the promised deletion happens at its time, not before')
  await hears(LEAVING, /sudah dihapus/)
  await Promise.all([unheard, active].map(async (claimId) => { await becomes(claimId, 'deleted') }))
  t.same(await Promise.all([leaving, active, unheard].map(serversOf)), [0, 0, 0])
  await settled(system)
  t.same(await Promise.all([LEAVING, UNHEARD].map(async (number) => await told(number, /akan dihapus/))), [1, 1], 'each was warned once')
  t.same(await Promise.all([ACTIVE, LEAVING, UNHEARD].map(async (number) => loginsIn(await member(number).chat()).length)), [1, 1, 1], 'no login was sent a second time')
  t.equal(await serversMade(system) - made, 2, 'servers were made for new claims alone')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
  t.equal(await drift(), 'Ledger, panel and group agree.\n')
})
