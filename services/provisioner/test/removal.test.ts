import t from 'tap'
import { accountsOf, callsOf, panelCall, ready, world, type ReadyData, type Request, type World } from './harness.ts'

const w = await world(t)
await w.provisioner()

async function active (w: World): Promise<{ request: Request, server: ReadyData }> {
  const request = await w.request()
  return { request, server: ready(await w.ended(request.claim_id)) }
}
const hasServer = (id: number): boolean => w.panel.state().servers.some((server) => server.id === id)
const hasUser = (id: number): boolean => accountsOf(w.panel).some((user) => user.id === id)
const userDeleted = async (claimId: string) => ((await w.ended(claimId, ['deleted'])).data as { user_deleted: boolean }).user_deleted

t.test('a deletion', async (t) => {
  const { request, server } = await active(w)
  w.panel.resetCounters()
  await w.remove(request, server)
  t.equal(await userDeleted(request.claim_id), true)
  t.same([hasServer(server.server_id), hasUser(server.user_id), w.panel.state().orphans], [false, false, []], 'takes the server and the account')
  t.same(callsOf(w.panel), { 'GET /servers': 1, 'DELETE /servers/{server}': 1, 'DELETE /users/{user}': 1 }, 'by one look at both')
  t.match(JSON.parse(await w.bucket('provisioning', request.claim_id) ?? ''), { state: 'deleted' })
  await w.remove(request, server)
  await w.remove((await active(w)).request, { user_id: server.user_id, server_id: server.server_id })
  t.equal(w.said(request.claim_id).filter(({ name }) => name === 'deleted').length, 1, 'is said once')
})

t.test('what somebody else deleted already', async (t) => {
  const { request, server } = await active(w)
  w.panel.removeServer(server.server_id)
  await panelCall(w.panel, 'DELETE', `/users/${server.user_id}`)
  await w.remove(request, server)
  t.equal(await userDeleted(request.claim_id), true, 'is deleted')
  const other = await active(w)
  const uuid = w.panel.state().servers.find(({ id }) => id === other.server.server_id)?.uuid ?? ''
  w.panel.removeContainer(uuid)
  await w.remove(other.request, other.server)
  t.equal(await userDeleted(other.request.claim_id), true, 'so is a server that only its node has forgotten')
})

t.test('a node that does not work', async (t) => {
  for (const mode of [{ kind: 'refuse' }, { kind: 'status', status: 500 }, { kind: 'status', status: 403 }] as const) {
    const { request, server } = await active(w)
    w.panel.setWings({ delete: mode })
    w.panel.resetCounters()
    await w.remove(request, server)
    while ((w.panel.state().requests['DELETE /servers/{server}']?.total ?? 0) < 1) await new Promise((resolve) => setTimeout(resolve, 10))
    t.ok(hasServer(server.server_id), 'keeps its server')
    t.ok(hasUser(server.user_id))
    w.panel.setWings({ delete: null })
    t.equal(await userDeleted(request.claim_id), true, 'until it works again')
    t.notOk(callsOf(w.panel)['DELETE /servers/{server}/{suffix}'], 'and is never forced')
  }
})

t.test('answers that are lost', async (t) => {
  const { request, server } = await active(w)
  w.panel.setKnobs({ dropAfterCommit: { serverDelete: 1, userDelete: 1 } })
  await w.remove(request, server)
  t.equal(await userDeleted(request.claim_id), true)
  t.same([hasServer(server.server_id), hasUser(server.user_id)], [false, false])
})

t.test('an account', async (t) => {
  const { request, server } = await active(w)
  const { environment, limits, feature_limits } = w.templates['python'] ?? {}
  await panelCall(w.panel, 'POST', '/servers', { name: 'other', user: server.user_id, egg: 16, docker_image: 'x', startup: 'x', environment, limits, feature_limits, deploy: { locations: [1], dedicated_ip: false, port_range: [] } })
  await w.remove(request, server)
  t.equal(await userDeleted(request.claim_id), false, 'that owns another server stays')
  t.ok(hasUser(server.user_id))

  const second = await active(w)
  await panelCall(w.panel, 'PATCH', `/users/${second.server.user_id}`, { email: 'a@elsewhere.example.invalid', username: 'promoted', first_name: 'a', last_name: 'b', root_admin: true })
  await w.remove(second.request, second.server)
  t.equal(await userDeleted(second.request.claim_id), false, 'that became an administrator stays')
  t.notOk(hasServer(second.server.server_id))
})

t.test('a server that is not of the claim', async (t) => {
  const [one, two] = [await active(w), await active(w)]
  await w.remove(one.request, { user_id: two.server.user_id, server_id: two.server.server_id })
  t.equal(await userDeleted(one.request.claim_id), false)
  t.ok(hasServer(two.server.server_id) && hasUser(two.server.user_id), 'is not deleted, whatever its number')
  t.notOk(hasServer(one.server.server_id), 'but its own is')

  const gone = await active(w)
  w.panel.removeServer(gone.server.server_id)
  await w.remove(gone.request, { user_id: gone.server.user_id, server_id: two.server.server_id })
  t.equal(await userDeleted(gone.request.claim_id), true)
  t.ok(hasServer(two.server.server_id), 'not even where its own is gone already')

  const three = await active(w)
  await panelCall(w.panel, 'PATCH', `/servers/${three.server.server_id}/details`, { name: 'renamed', user: three.server.user_id })
  await w.remove(three.request, three.server)
  t.equal(await userDeleted(three.request.claim_id), true)
  t.notOk(hasServer(three.server.server_id), 'is deleted by its number where an administrator lost its external id')
})

t.test('a claim of which nothing is written down any more', async (t) => {
  const { request, server } = await active(w)
  await w.claimStore.raw.jsm.streams.purge('KV_provisioning')
  await w.remove(request, server)
  t.equal(await userDeleted(request.claim_id), true, 'is deleted by what the event says')
  t.same([hasServer(server.server_id), hasUser(server.user_id)], [false, false])
})
