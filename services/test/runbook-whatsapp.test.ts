// What the runbook says about the bot's account, its group and who leaves it, done step by step on a system: the commands as they stand there, and between
// them what a person does on a phone.
import t, { type Test } from 'tap'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { numberOf } from './crowd.ts'
import { actor, panelState, PASSWORD, put, until } from './journey.ts'
import { operatorOf } from './operator.ts'
import { procedure, walk, type Walk } from './procedures.ts'
import { installs } from './trouble.ts'

/** Longer than six people take to leave. */
const GRACE_MS = 30_000
const MEMBERS = 20
const [FIRST_BOT, SECOND_BOT] = ['6281299999990', '6281299999980']
/** Whose claim is refused in any case, and it shows for which reason. */
const OUTSIDER = '6281300000001'
const OTHER_GROUP = '120363000000000002@g.us'

const directory = scratch(t)
const system = await startSystem({
  directory, graceMs: GRACE_MS, members: MEMBERS,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50', PANEL_DOUBLE_RATE_LIMIT: '5000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' },
    reaper: { SWEEP_EVERY_MS: '500', POSTPONE_MS: '500' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100', ROSTER_EVERY_MS: '2000', ROSTER_MAX_AGE_MS: '10000', ROSTER_CONFIRM_READS: '2', ROSTER_CONFIRM_MS: '1000', LEASE_MS: '2000', RECONNECT_MAX_MS: '1000', LOOKUPS_PER_MINUTE: '1000' },
  },
})
t.teardown(() => system.close())
const operator = operatorOf(system, directory)
await operator.run('nats context save klaim --server="$NATS_URL" --nkey=/etc/klaim/nats_operator.nk --select')

const phone = async (path: string, body: object = {}): Promise<unknown> => await put(`${system.whatsappUrl}/${path}`, 'POST', body)
const member = (n: number) => actor(system, numberOf(n))
const statusOf = async (claimId: string): Promise<string> => (await member(1).progress(claimId)).status
const becomes = async (claimId: string, status: string): Promise<void> => { await member(1).becomes(claimId, status) }
const hasServer = async (claimId: string): Promise<boolean> => (await panelState(system)).servers.some(({ externalId }) => externalId === claimId)
const objectIn = (said: string): unknown => JSON.parse(/\{.*\}/.exec(said)?.[0] ?? '{}')
/** A bot that is not linked is not ready, and who starts it does not wait for that. */
function startBot (env: Record<string, string> = {}): { readonly ready: Promise<void> } {
  const ready = system.start('bot', env)
  ready.catch(() => {})
  return { ready }
}

const linking = walk('Link the bot.', operator)
/** From its second step on. */
async function link (t: Test, by: 'qr' | 'code'): Promise<void> {
  const shown = objectIn(await linking(t, 2, { prints: new RegExp(`"state":"${by}"`) })) as Record<'qr' | 'code', string>
  await phone('pair', { [by]: shown[by] })
  await linking(t, 5, { prints: /"state":"linked"/ })
}
/** How many people it says there are. */
async function known (t: Test, does: Walk, step: number): Promise<number> {
  return (objectIn(await does(t, step, { prints: /"state":"known"/ })) as { size: number }).size
}
async function unlinked (): Promise<void> {
  const { linked: [device] } = await (await fetch(`${system.whatsappUrl}/connection`)).json() as { linked: Array<{ device: number }> }
  await phone('unlink', { device: device?.device })
}

/** Soon nobody knows who is in the group. */
async function turnedAway (): Promise<void> {
  await until('who wants to claim is told that the bot is away', async () => (await actor(system, OUTSIDER).claim()).body.error?.code === 'BOT_OFFLINE' || undefined)
}

let people = 0

t.test('the bot is linked', async (t) => {
  people = await known(t, linking, 6)
  await unlinked()
  await linking(t, 1, { prints: /"whatsapp":"linking"/ })
  await turnedAway()
  await linking(t, 2, { prints: /"state":"qr"/ })
  const picture = await fetch(`${system.botUrl}/internal/pairing.png`, { headers: { 'x-internal-secret': readFileSync(join(system.secretsDirectory, 'internal_secret'), 'utf8').split(',')[0] ?? '' } })
  t.equal(Buffer.from(await picture.arrayBuffer()).subarray(1, 4).toString(), 'PNG', 'the code is a picture, too')
  await link(t, 'qr')
  t.equal(await known(t, linking, 6), people)

  // By night, by telephone.
  await unlinked()
  await linking(t, 1, { prints: /"whatsapp":"linking"/ })
  t.match(procedure('Link the bot.')[3]?.text, /PAIRING_NUMBER.*restart bot.*eight characters/)
  await system.kill('bot', 'SIGTERM')
  const bot = startBot({ PAIRING_NUMBER: FIRST_BOT })
  await link(t, 'code')
  await bot.ready
  t.equal(await known(t, linking, 6), people)
  await member(1).claimed('active')
  await member(1).hears(PASSWORD)
})

t.test('the number is banned', async (t) => {
  const does = walk('The number is banned.', operator)
  await installs(system, 'never')
  const waiting = await member(2).claimed('creating')
  const installing = await until('it is being installed', async () => (await panelState(system)).servers.find(({ externalId }) => externalId === waiting)?.id)
  await phone('ban')
  await does(t, 1, { prints: /\tWHATSAPP_BANNED\t/ })
  await turnedAway()
  await installs(system, 'success')
  await put(`${system.panelUrl}/__double/install-finished`, 'POST', { id: installing, successful: true })
  await becomes(waiting, 'active')
  await system.kill('bot', 'SIGTERM')
  await does(t, 3, { prints: /"success": ?true/ })
  await phone(`account`, { number: SECOND_BOT })
  await phone(`people/${FIRST_BOT}/remove`)
  await phone(`people/${SECOND_BOT}/join`, { how: 'admin' })
  const bot = startBot({ PAIRING_NUMBER: SECOND_BOT })
  await system.kill('gateway', 'SIGTERM')
  await system.start('gateway', { BOT_NUMBER: SECOND_BOT })
  await link(t, 'code')
  await bot.ready
  t.equal(await known(t, does, 7), people, 'as many as before')
  await member(2).hears(PASSWORD)
  t.equal((await operator.run(`nats request klaim.claim-store.list '{"status":"deleting"}'`)).said.includes('"claims":[]'), true, 'nobody counts as gone')
  await member(3).claimed('active')
  await member(3).hears(PASSWORD)
})

t.test('many members leave at once', async (t) => {
  const does = walk('Many members leave at once.', operator)
  const [mistaken, gone] = [await member(4).claimed('active'), await member(5).claimed('active')]
  for (const n of [4, 5, 6, 7, 8, 9]) await phone(`people/${numberOf(n)}/remove`)
  await does(t, 1, { prints: /"tripped":true/ })
  const left = Date.now()
  t.equal(await known(t, does, 2), people - 6)
  await does(t, 3, { prints: new RegExp(`(?=.*${mistaken})(?=.*${gone})`) })
  await member(4).hears(/akan dihapus/)
  await member(5).hears(/akan dihapus/)
  for (const n of [4, 6, 7, 8, 9]) await phone(`people/${numberOf(n)}/join`, { how: 'admin' })
  await becomes(mistaken, 'active')
  await member(4).hears(/dibatalkan karena/)
  await does(t, 6, { prints: /"ok":true,"tripped":true/ })
  await until('the time is over that was told', () => Date.now() > left + GRACE_MS + 2_000 || undefined, { everyMs: 500 })
  t.same([await statusOf(gone), await hasServer(gone)], ['deleting', true], 'the brake holds what is due')
  await does(t, 7, { prints: /"tripped":false/ })
  await becomes(gone, 'deleted')
  t.same([await hasServer(gone), await hasServer(mistaken)], [false, true], 'who is still gone loses the server, and nobody else')
  await phone(`people/${numberOf(5)}/join`, { how: 'admin' })
})

t.test('the group is another one', async (t) => {
  const does = walk('The group is another one', operator)
  // Members 1 to 4 have servers. The first stays behind, the fourth left before and comes along.
  const [behind, along] = [(await member(1).claim()).body.error?.claim_id ?? '', (await member(4).claim()).body.error?.claim_id ?? '']
  await phone('groups', { id: OTHER_GROUP, subject: 'Klaim, again' })
  await does(t, 1, { prints: /"tripped":true/ })
  await phone(`people/${numberOf(4)}/leave`)
  await becomes(along, 'deleting')
  await phone(`people/${SECOND_BOT}/remove`)
  await phone(`people/${SECOND_BOT}/join`, { group: OTHER_GROUP, how: 'admin' })
  for (let n = 2; n <= MEMBERS; n++) await phone(`people/${numberOf(n)}/join`, { group: OTHER_GROUP, how: 'admin' })
  await does(t, 3, { prints: new RegExp(OTHER_GROUP) })
  await system.kill('bot', 'SIGTERM')
  await system.kill('gateway', 'SIGTERM')
  await system.start('bot', { GROUP_ID: OTHER_GROUP })
  await system.start('gateway', { GROUP_ID: OTHER_GROUP, BOT_NUMBER: SECOND_BOT })
  await until('all who came are known', async () => await known(t, does, 4) >= MEMBERS || undefined)
  t.equal(await statusOf(behind), 'active', 'nobody is said to have left')
  const plan = await does(t, 6, { code: 1, prints: /(?=[^]*MEMBER_ABSENT_NOT_SCHEDULED)(?=[^]*SCHEDULED_BUT_PRESENT)[^]*^Plan \w+/m })
  await does(t, 7, { fill: [['<hash of the plan>', /^Plan (\w+)/m.exec(plan)?.[1] ?? '']] })
  await becomes(behind, 'deleting')
  await member(1).hears(/akan dihapus/)
  await becomes(along, 'active')
  await does(t, 8, { prints: /"tripped":false/ })
  await becomes(behind, 'deleted')
  t.same([await hasServer(behind), await hasServer(along)], [false, true])
  const newcomer = await member(10).claimed('active')
  await member(10).hears(PASSWORD)
  t.ok(await hasServer(newcomer), 'and whoever is in the new group can claim')
})
