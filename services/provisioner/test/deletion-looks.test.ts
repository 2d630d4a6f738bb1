// Deletions that are due together are looked at in one list, and what was seen in it counts for a while. What may change meanwhile, and what not.
import t, { type Test } from 'tap'
import { provisionerClaims } from '../../../contracts/streams.ts'
import { LOOK_AGE_MS_MAX } from '../deletion-looks.ts'
import { startGate } from './gate.ts'
import { account, accountsOf, callsOf, panelCall, ready, world, type ReadyData, type Request, type World } from './harness.ts'

interface Active { readonly request: Request, readonly server: ReadyData }
const active = async (w: World, count: number): Promise<Active[]> => {
  const requests = await Promise.all(Array.from({ length: count }, async () => await w.request()))
  return await Promise.all(requests.map(async (request) => ({ request, server: ready(await w.ended(request.claim_id)) })))
}
const removeAll = async (w: World, all: readonly Active[]): Promise<void> => { for (const { request, server } of all) await w.remove(request, server) }
const userDeleted = async (w: World, { request }: Active) => ((await w.ended(request.claim_id, ['deleted'])).data as { user_deleted: boolean }).user_deleted
const hasServer = (w: World, { server }: Active): boolean => w.panel.state().servers.some(({ id }) => id === server.server_id)
const hasUser = (w: World, id: number): boolean => accountsOf(w.panel).some((user) => user.id === id)
const strange = async (w: World): Promise<number> => Number((await panelCall(w.panel, 'POST', '/users', account({}))).attributes['id'])

t.test('many deletions', async (t) => {
  const w = await world(t)
  const first = await w.provisioner()
  const all = await active(w, 30)
  await first.stop()
  await removeAll(w, all)
  w.panel.resetCounters()
  await w.provisioner()
  t.same(await Promise.all(all.map(async (one) => await userDeleted(w, one))), all.map(() => true))
  t.same([w.panel.state().servers, accountsOf(w.panel), w.panel.state().orphans], [[], [], []])
  const { 'GET /nodes/{node}': _, 'GET /servers': lists = 0, ...calls } = callsOf(w.panel)
  t.same(calls, { 'DELETE /servers/{server}': 30, 'DELETE /users/{user}': 30 }, 'take two calls each')
  t.ok(lists <= 2, 'and a list or two for all')
})

/** Three deletions that were looked at in one list; the first is under way to the panel, and the others wait for their turn. */
async function waiting (t: Test): Promise<{ w: World, others: [Active, Active], goOn: () => Promise<void> }> {
  const w = await world(t)
  const gate = await startGate(t, w.panel.url)
  await w.provisioner({ PANEL_URL: gate.url, PANEL_CONCURRENCY: 1 })
  const [earlier, ...all] = await active(w, 4) as [Active, Active, Active, Active]
  const deletion = /^DELETE .*\/servers\/(\d+)$/
  const held = gate.stopAt(deletion)
  await w.remove(earlier.request, earlier.server)
  const before = await held
  await removeAll(w, all)
  while ((await w.claimStore.raw.jsm.consumers.info(provisionerClaims.stream, provisionerClaims.name)).num_ack_pending < 4) await new Promise(setImmediate)
  w.panel.resetCounters()
  const stopped = gate.stopAt(deletion)
  before.goOn()
  const { call, goOn } = await stopped
  t.equal(callsOf(w.panel)['GET /servers'], 1)
  const underWay = Number(deletion.exec(call)?.[1])
  const [first, ...others] = all.toSorted((one, two) => Number(two.server.server_id === underWay) - Number(one.server.server_id === underWay)) as [Active, Active, Active]
  return { w, others, goOn: async () => { goOn(); await userDeleted(w, first) } }
}

t.test('a server that gets another owner after it was looked at', async (t) => {
  const { w, others: [one, other], goOn } = await waiting(t)
  const stranger = await strange(w)
  await panelCall(w.panel, 'PATCH', `/servers/${one.server.server_id}/details`, { name: 'moved', user: stranger, external_id: one.request.claim_id })
  await goOn()
  t.same([await userDeleted(w, one), await userDeleted(w, other)], [true, true])
  t.notOk(hasServer(w, one), 'is deleted: it carries the id of the claim, whoever owns it')
  t.ok(hasUser(w, stranger), 'whose account stays')
  t.equal(callsOf(w.panel)['GET /servers'], 1, 'a young look is not made again')
})

t.test('what was looked at too long ago', async (t) => {
  const { w, others: [one, other], goOn } = await waiting(t)
  await panelCall(w.panel, 'PATCH', `/servers/${one.server.server_id}/details`, { name: 'taken', user: one.server.user_id, external_id: 'of-somebody-else' })
  await panelCall(w.panel, 'PATCH', `/users/${other.server.user_id}`, { email: 'a@elsewhere.example.invalid', username: 'promoted', first_name: 'a', last_name: 'b', root_admin: true })
  w.clock.wrongMs = LOOK_AGE_MS_MAX + 1
  await goOn()
  t.same([await userDeleted(w, one), await userDeleted(w, other)], [false, false], 'is looked at again')
  t.ok(hasServer(w, one), 'so a server that is not of the claim any more stays')
  t.same([hasServer(w, other), hasUser(w, other.server.user_id)], [false, true], 'and so does an account that became an administrator')
})

t.test('a clock that goes back', async (t) => {
  const { w, others: [one, other], goOn } = await waiting(t)
  await panelCall(w.panel, 'PATCH', `/servers/${one.server.server_id}/details`, { name: 'taken', user: one.server.user_id, external_id: 'of-somebody-else' })
  w.clock.wrongMs = -60_000
  await goOn()
  t.same([await userDeleted(w, one), await userDeleted(w, other)], [false, true], 'makes no look young')
  t.ok(hasServer(w, one))
})

t.test('a panel that was away', async (t) => {
  const { w, others: [one, other], goOn } = await waiting(t)
  await panelCall(w.panel, 'PATCH', `/servers/${one.server.server_id}/details`, { name: 'taken', user: one.server.user_id, external_id: 'of-somebody-else' })
  w.panel.setKnobs({ answerNext: [{ route: 'DELETE /servers/{server}', status: 503, times: 1 }] })
  await goOn()
  t.same([await userDeleted(w, one), await userDeleted(w, other)], [false, true], 'is looked at again')
  t.ok(hasServer(w, one))
})

t.test('a panel that says it deleted a server and did not', async (t) => {
  const w = await world(t)
  const gate = await startGate(t, w.panel.url)
  await w.provisioner({ PANEL_URL: gate.url })
  const [one] = await active(w, 1) as [Active]
  const stopped = gate.stopAt(/^DELETE .*\/servers\/\d+$/)
  await w.remove(one.request, one.server)
  ;(await stopped).goOn(204)
  t.equal(await userDeleted(w, one), true)
  t.same([hasServer(w, one), hasUser(w, one.server.user_id)], [false, false], 'is not believed: it keeps the account of whoever still owns one, and the deletion is tried again')
})
