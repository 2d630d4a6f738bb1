import t from 'tap'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem, SERVICES, type Service } from '../../deploy/staging/system.ts'
import { memberIdOf } from '../common/member-id.ts'
import { chats, loginsIn, numberOf, settled, stored, waJidOf } from './crowd.ts'
import { actor, panelState, until } from './journey.ts'
import { carryOut, procedure } from './procedures.ts'

// The runbook's re-keying, by its own commands, with a member in each state: what was promised before is kept after.
const GRACE_MS = 75_000
const DOMAIN = 'members.klaim.invalid'
const [ACTIVE, LEAVING, RETURNING, DELETED] = [1, 2, 3, 4]
const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-rekey-')), graceMs: GRACE_MS, members: 12,
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
const secret = (file: string): string => readFileSync(join(system.secretsDirectory, file), 'utf8')
const becomes = async (claimId: string, status: string): Promise<void> => { await member(ACTIVE).becomes(claimId, status) }
const stop = async (...services: Service[]): Promise<void> => { await Promise.all(services.map(async (service) => { await system.kill(service, 'SIGTERM') })) }

t.test('members are re-keyed', async (t) => {
  const claims = await Promise.all([ACTIVE, LEAVING, RETURNING, DELETED].map(async (number) => (await member(number).claim()).body.claim_id))
  const [active = '', leaving = '', returning = '', deleted = ''] = claims
  await Promise.all(claims.map(async (claimId) => { await becomes(claimId, 'active') }))
  await member(DELETED).leave()
  await becomes(deleted, 'deleted')
  await member(LEAVING).leave()
  await member(RETURNING).leave()
  await becomes(leaving, 'deleting')
  await becomes(returning, 'deleting')
  await member(RETURNING).hears(/akan dihapus/)
  const { deletion_scheduled_at: promised = '' } = await member(LEAVING).progress(leaving)

  const oldKey = secret('member_id_key')
  const env = {
    NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: join(system.secretsDirectory, 'nats_operator.nk'), LEDGER_KEYS_FILE: join(system.secretsDirectory, 'ledger_keys'), PANEL_URL: system.panelUrl, CLAIM_EMAIL_DOMAIN: DOMAIN, PANEL_KEY_FILE: join(system.secretsDirectory, 'panel_key'),
    MEMBER_ID_KEY_FILE: join(system.secretsDirectory, 'member_id_key'), NEW_MEMBER_ID_KEY_FILE: join(system.secretsDirectory, 'member_id_key.next'),
  }
  const steps = procedure('Re-key the members.')
  t.same(steps.map(({ command }) => command === undefined), [false, true, false, false, false, true, true], 'the runbook has the commands in this order')
  const command = async (step: number): Promise<string> => await carryOut(steps[step - 1]?.command ?? '', system.secretsDirectory, { env })
  await command(1)
  await t.rejects(command(3), /still running/, 'not while services run')
  await stop('gateway')
  await settled(system)
  await stop('bot')
  await settled(system)
  await stop('claim-store', 'provisioner', 'reaper', 'notifier')
  t.match(await command(3), /events of 4 members to rewrite/)
  t.match(await command(4), /4 members are under the new key, 3 accounts have their new address/)
  await t.rejects(system.start('claim-store'), /ended at its start/, 'claim-store does not open the ledger with the old key')
  await command(5)
  t.not(secret('member_id_key'), oldKey)
  await Promise.all(SERVICES.map(async (service) => { await system.start(service) }))
  t.ok(Date.parse(promised) - Date.now() > 2_000, 'before the promised time')

  t.equal((await member(ACTIVE).claim()).body.error?.code, 'ALREADY_CLAIMED', 'a member with a server is known')
  t.equal((await member(LEAVING).progress(leaving)).deletion_scheduled_at, promised, 'what was promised stands')
  await member(RETURNING).join()
  await becomes(returning, 'active')
  await member(RETURNING).hears(/dibatalkan karena/)
  const before = loginsIn(await member(ACTIVE).chat())
  t.equal(before.length, 1, 'nothing is told again')
  await member(ACTIVE).write('STATUS')
  await member(ACTIVE).hears(/^Server kamu aktif\./)
  await member(ACTIVE).write('SANDI')
  const fresh = await until('SANDI is answered', async () => loginsIn((await chats(system)).get(numberOf(ACTIVE)) ?? [])[1])
  t.ok(await member(ACTIVE).logsIn(fresh.username, fresh.password), 'a new password opens the account')

  await until('the scheduled deletion happens', async () => (await panelState(system)).servers.every(({ externalId }) => externalId !== leaving) || undefined)
  t.ok(Date.now() >= Date.parse(promised), 'at its time, not before')
  await member(LEAVING).hears(/sudah dihapus/)
  await member(DELETED).join()
  const again = await until('who came back may claim again', async () => {
    const { status, body } = await member(DELETED).claim()
    return status === 202 ? body.claim_id : undefined
  })
  await becomes(again, 'active')
  const key = secret('member_id_key')
  const { users } = await panelState(system)
  t.same(Object.fromEntries(users.filter(({ externalId }) => externalId !== null).map(({ externalId, email }) => [externalId, email])),
    Object.fromEntries([ACTIVE, RETURNING, DELETED].map((number) => [waJidOf(number), `${memberIdOf(key, waJidOf(number))}@${DOMAIN}`])), 'no account has an old address')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
  t.equal(active, (await member(ACTIVE).claim()).body.error?.claim_id)
  const [confirmation = ''] = /`scripts\/rekey-members --confirm`/.exec(steps[6]?.text ?? '') ?? []
  t.match(await carryOut(confirmation.replaceAll('`', ''), system.secretsDirectory, { env: { ...env, NEW_MEMBER_ID_KEY_FILE: '' } }), /CLAIMS_BEFORE_REKEY is gone/)
})
