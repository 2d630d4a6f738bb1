// scripts/drift plan, as an operator runs it, on a system where somebody breaks what ledger, panel and group agree on.
import t from 'tap'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { pendingSubject } from '../../contracts/events/deletions.ts'
import { claimStoreMembers } from '../../contracts/streams.ts'
import { startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { memberIdOf } from '../common/member-id.ts'
import { driftOf } from './drift-command.ts'
import { actor, panelState, until } from './journey.ts'

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-drift-')), graceMs: 3_600_000, members: 4,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' },
    reaper: { SWEEP_EVERY_MS: '600000' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(() => system.close())
const operator = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => operator.close())
const jsm = await jetstreamManager(operator)

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const memberOf = (member: number): string => memberIdOf(system.memberIdKey, `${numberOf(member)}@s.whatsapp.net`)
const { run, panel } = driftOf(system)
const drift = async (...args: string[]) => await run(args)
async function claimed (member: number): Promise<string> {
  const { body } = await actor(system, numberOf(member)).claim()
  await until('the claim is active', async () => (await actor(system, numberOf(member)).progress(body.claim_id)).status === 'active' || undefined)
  return body.claim_id
}
/** In any order: that of the claims' ids is random. */
const found = async (...lines: string[]): Promise<string> => await until(`${lines.join(' and ')} are found`, async () => {
  const { code, said } = await drift('plan')
  return code === 1 && lines.every((line) => said.includes(line)) ? said : undefined
})

t.test('scripts/drift plan', async (t) => {
  const [first, second] = [await claimed(1), await claimed(2)]
  t.same(await drift('plan'), { code: 0, said: 'Ledger, panel and group agree.\n' })
  const untouched = await panelState(system)

  const server = untouched.servers.find(({ externalId }) => externalId === first)
  const { status } = await panel('DELETE', `/servers/${server?.id}`)
  t.equal(status, 204)
  const deleted = await drift('plan')
  t.match(deleted, { code: 1, said: new RegExp(`^CLAIM_WITHOUT_SERVER  member ${memberOf(1)}  claim ${first}  server ${server?.id}  account -  step person\nPlan [0-9a-f]{64}\n$`) }, 'finds the server that somebody deleted on the panel')
  t.same(await drift('plan'), deleted, 'under one hash, as often as it looks')

  await actor(system, numberOf(2)).leave()
  await until('the departure is decided', async () => (await actor(system, numberOf(2)).progress(second)).status === 'deleting' || undefined)
  await until('the wake-up is scheduled', async () => await jsm.direct.getMessage('DELETIONS', { last_by_subj: pendingSubject(`${second}-d1`) }) ?? undefined)
  t.notMatch((await drift('plan')).said, memberOf(2), 'has nothing to say of a deletion that is scheduled')
  await jsm.streams.purge('DELETIONS', { filter: pendingSubject(`${second}-d1`) })
  t.match(await drift('plan'), { said: `SCHEDULE_MISSING  member ${memberOf(2)}  claim ${second}` }, 'finds the wake-up that is gone')

  await jsm.consumers.pause('MEMBERS', claimStoreMembers.name, new Date(Date.now() + 600_000))
  await actor(system, numberOf(1)).leave()
  await actor(system, numberOf(2)).join()
  const said = await found(`MEMBER_ABSENT_NOT_SCHEDULED  member ${memberOf(1)}`, `SCHEDULED_BUT_PRESENT  member ${memberOf(2)}`)
  t.notMatch(said, /62812|@/, 'names nobody by their number')
  const after = await panelState(system)
  t.same([after.users, after.servers], [untouched.users, untouched.servers.filter(({ id }) => id !== server?.id)], 'and changes nothing')

  t.match(await drift('apply'), { code: 64 })
  await system.kill('bot', 'SIGTERM')
  t.match(await drift('plan'), { code: 69, said: 'BOT_AWAY' }, 'finds nothing where it could not ask')
})
