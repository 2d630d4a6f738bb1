// scripts/drift apply on a whole system: every kind of drift made for real, and what is confirmed is done, with things going wrong in between.
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { pendingSubject } from '../../contracts/events/deletions.ts'
import { setBrake } from '../../contracts/requests.ts'
import { claimStoreMembers } from '../../contracts/streams.ts'
import { startSystem } from '../../deploy/staging/system.ts'
import { connectNats } from '../common/connect.ts'
import { memberIdOf } from '../common/member-id.ts'
import { environmentOf, loadTemplates, type Template } from '../common/templates.ts'
import { driftOf } from './drift-command.ts'
import { actor, panelState, until } from './journey.ts'

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-drift-apply-')), graceMs: 3_600_000, members: 10,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '1000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' },
    reaper: { SWEEP_EVERY_MS: '3600000' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(() => system.close())
const operator = await connectNats(system.nats.access('operator'), 'operator')
t.teardown(() => operator.close())
const jsm = await jetstreamManager(operator)
const { run, panel } = driftOf(system)

const numberOf = (member: number): string => `62812${String(member).padStart(8, '0')}`
const jidOf = (member: number): string => `${numberOf(member)}@s.whatsapp.net`
const memberOf = (member: number): string => memberIdOf(system.memberIdKey, jidOf(member))
const person = (member: number) => actor(system, numberOf(member))
const newest = async (stream: string, subject: string): Promise<number> => (await jsm.direct.getMessage(stream, { last_by_subj: subject }))?.seq ?? 0

const [{ definition }] = [...loadTemplates(join(import.meta.dirname, '../../config/templates.json')).values()] as [Template]
const made = async (user: number, externalId?: string): Promise<number> => {
  const answer = await panel('POST', '/servers', {
    name: 'restored', user, ...(externalId === undefined ? {} : { external_id: externalId }), egg: definition.egg, docker_image: definition.image, startup: definition.startup, environment: environmentOf(definition, 25_565),
    limits: definition.limits, feature_limits: definition.feature_limits, deploy: { locations: [1], dedicated_ip: false, port_range: [] },
  })
  t.equal(answer.status, 201)
  return answer.attributes.id
}
const accountOf = async (name: string, fields: object = {}): Promise<number> => (await panel('POST', '/users', { email: `${name}@elsewhere.example.invalid`, username: name, first_name: name, last_name: 'X', ...fields })).attributes.id
const memberAccount = async (member: number): Promise<number> => await accountOf(`restored${member}`, { email: `${memberOf(member)}@members.klaim.invalid`, external_id: jidOf(member) })

interface Row { kind: string, member_id: string, server_id: number | null, user_id: number | null, step: string, outcome?: string, code?: string }
const rowsOf = (said: string): Row[] => said.split('\n').filter((line) => line.includes('"kind"')).map((line) => JSON.parse(line) as Row)
const briefly = (rows: readonly Row[]): string[] => rows.map(({ kind, member_id: id, step, outcome, code }) => [kind, [1, 2, 3, 4, 5, 6, 7, 8].find((member) => memberOf(member) === id), step, outcome, code].filter((part) => part !== undefined).join(' '))
async function planned (): Promise<{ hash: string, rows: Row[] }> {
  const { said } = await run(['plan', '--json'])
  return { rows: rowsOf(said), hash: (JSON.parse(said.trim().split('\n').at(-1) ?? '{}') as { plan: string }).plan }
}
const apply = (hash: string): string[] => ['apply', '--confirm', hash, '--why', 'the panel was restored', '--json']
const setBrakeTo = async (tripped: boolean): Promise<void> => { await operator.request(setBrake.subject, JSON.stringify({ tripped, by: 'on call', why: 'a look' })) }

t.test('scripts/drift apply', async (t) => {
  // Two claims that fail, and another one for whom the administrator has a server.
  await fetch(`${system.panelUrl}/__double/knobs`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ wings: { '*': { install: 'failure' } } }) })
  const failed = await Promise.all([1, 2, 8].map(async (member) => await person(member).claimed('failed')))
  await fetch(`${system.panelUrl}/__double/knobs`, { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ wings: { '*': { install: 'success' } } }) })
  const claims = new Map(await Promise.all([3, 4, 5, 6, 7].map(async (member) => [member, await person(member).claimed('active')] as const)))
  const claimOf = (member: number): string => claims.get(member) ?? ''
  const before = await panelState(system)
  const serverOf = (member: number): number => before.servers.find(({ externalId }) => externalId === claimOf(member))?.id ?? 0

  // What is not ours, and looks as if it were.
  const stranger = await accountOf('stranger')
  const foreign = [await made(stranger), await made(stranger, randomUUID()), await made(await accountOf('chief', { root_admin: true }), failed[2])]

  // The panel comes back from a backup in which two members still had what was removed since; somebody deletes a server, and moves another.
  const restored = await made(await memberAccount(1), failed[0])
  const lonely = await memberAccount(2)
  t.equal((await panel('DELETE', `/servers/${serverOf(3)}`)).status, 204)
  t.equal((await panel('PATCH', `/servers/${serverOf(4)}/details`, { name: 'moved', user: stranger, external_id: claimOf(4) })).status, 200)
  // A wake-up is lost; and so is the word that somebody left, and that somebody came back.
  await Promise.all([6, 7].map(async (member) => await person(member).leave()))
  await Promise.all([6, 7].map(async (member) => { await person(member).becomes(claimOf(member), 'deleting') }))
  const pending = (member: number): string => pendingSubject(`${claimOf(member)}-d1`)
  await until('both wake-ups are scheduled', async () => await newest('DELETIONS', pending(6)) > 0 && await newest('DELETIONS', pending(7)) > 0 || undefined)
  await jsm.streams.purge('DELETIONS', { filter: pending(7) })
  await jsm.consumers.pause('MEMBERS', claimStoreMembers.name, new Date(Date.now() + 600_000))
  await person(5).leave()
  await person(6).join()
  for (const subject of [`members.${memberOf(5)}.left`, `members.${memberOf(6)}.joined`]) {
    await jsm.streams.deleteMessage('MEMBERS', await until(`${subject} is told`, async () => await newest('MEMBERS', subject) || undefined))
  }
  await jsm.consumers.resume('MEMBERS', claimStoreMembers.name)

  const first = await planned()
  t.same(briefly(first.rows), [
    'CLAIM_WITHOUT_SERVER 3 person', 'MEMBER_ABSENT_NOT_SCHEDULED 5 tell_left', 'OWNER_MISMATCH 4 person', 'SCHEDULED_BUT_PRESENT 6 tell_joined', 'SCHEDULE_MISSING 7 schedule',
    ...['SERVER_WITHOUT_CLAIM 1 delete_server', 'SERVER_WITHOUT_CLAIM 8 person'].toSorted((one, two) => memberOf(Number(one.split(' ')[1])) < memberOf(Number(two.split(' ')[1])) ? -1 : 1), 'USER_WITHOUT_CLAIM 2 delete_account',
  ], 'every kind is found, with its step')
  t.equal((await planned()).hash, first.hash)
  const drifted = await panelState(system)
  const kept = (state: typeof drifted): unknown[] => [state.users.filter(({ id }) => id !== lonely), state.servers.filter(({ id }) => id !== restored).map(({ id, externalId }) => [id, externalId])]

  for (const wrong of [[], ['--confirm', first.hash], ['--confirm', first.hash, '--why', ' '], ['--confirm', first.hash, '--why', 'x'.repeat(201)], ['--confirm', 'abc', '--why', 'x'], ['--why', 'x']]) t.same(await run(['apply', ...wrong]), { code: 64, said: '' })
  const refused = await run(apply('0'.repeat(64)))
  t.match(refused, { code: 2, said: '"PLAN_CHANGED"' }, 'a plan that nobody made is refused')
  t.match(refused.said, first.hash)
  t.same((await planned()).hash, first.hash, 'and nothing was done')

  // It is killed after what it said second.
  t.match(await run(apply(first.hash), { line: 2 }), { code: null })
  await person(5).becomes(claimOf(5), 'deleting')
  t.match(await run(apply(first.hash)), { code: 2, said: 'PLAN_CHANGED' }, 'what was half done is another plan')

  await setBrakeTo(true)
  const second = await planned()
  const held = await run(apply(second.hash))
  t.equal(held.code, 1)
  const outcomes = (said: string): Record<string, string> => Object.fromEntries(rowsOf(said).map(({ step, member_id: id, outcome, code }) => [`${step} ${[1, 2, 3, 4, 5, 6, 7, 8].find((member) => memberOf(member) === id)}`, code ?? outcome ?? '']))
  t.match(outcomes(held.said), { 'delete_server 1': 'BRAKE_ON', 'delete_account 2': 'BRAKE_ON', 'person 3': 'FOR_A_PERSON', 'person 4': 'FOR_A_PERSON', 'person 8': 'FOR_A_PERSON' }, 'deletions wait for the brake')
  await person(6).becomes(claimOf(6), 'active')
  t.not(await newest('DELETIONS', pending(7)), 0, 'while what deletes nothing is done')
  const waiting = await panelState(system)
  t.same([waiting.users, waiting.servers], [drifted.users, drifted.servers])
  await setBrakeTo(false)

  // It is killed while the provisioner waits for the reaper's word.
  const third = await planned()
  const looks = async (): Promise<number> => (await panelState(system)).requests['GET /servers/external/{external}']?.total ?? 0
  const looked = await looks()
  await system.kill('reaper', 'SIGSTOP')
  const underWay = until('the provisioner has the step in hand', async () => await looks() > looked || undefined, { everyMs: 20 })
  t.match(await run(apply(third.hash), { event: underWay }), { code: null })
  await system.kill('reaper', 'SIGCONT')
  await until('that step has come to its end', async () => readFileSync(join(system.logDirectory, 'provisioner.log'), 'utf8').split('\n').some((line) => line.includes('an operator has a server') && !line.includes('BRAKE_ON')) || undefined)

  // And again, until nothing is left but what needs a person.
  for (let rounds = 0; rounds < 3; rounds++) await run(apply((await planned()).hash))
  const last = await planned()
  t.same(briefly(last.rows).toSorted(), ['CLAIM_WITHOUT_SERVER 3 person', 'OWNER_MISMATCH 4 person', 'SERVER_WITHOUT_CLAIM 8 person'])
  const after = await panelState(system)
  t.notOk(after.servers.some(({ id }) => id === restored), 'the server without a claim is gone')
  t.notOk(after.users.some(({ externalId }) => externalId === jidOf(1) || externalId === jidOf(2)), 'and, a round later, so are the accounts')
  t.same([after.users.filter(({ externalId }) => externalId !== jidOf(1)), after.servers.map(({ id, externalId }) => [id, externalId])], [(kept(drifted)[0] as typeof after.users).filter(({ externalId }) => externalId !== jidOf(1)), kept(drifted)[1]], 'of all others nobody was touched')
  t.same(foreign.filter((id) => !after.servers.some((server) => server.id === id)), [])

  const logs = ['provisioner', 'reaper', 'bot'].map((service) => readFileSync(join(system.logDirectory, `${service}.log`), 'utf8').split('\n').filter((line) => line.includes('an operator has')))
  for (const lines of logs) t.match(lines[0], '"by":"on-call","why":"the panel was restored"', 'each service says who wanted it and why')
  t.notMatch(logs.flat().join('') + held.said + first.rows.map((row) => JSON.stringify(row)).join(''), /62812|@s\.whatsapp/, 'and nobody is named by their number')
})
