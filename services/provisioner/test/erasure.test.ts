import t from 'tap'
import { join } from 'node:path'
import { claimErased } from '../../../contracts/events/claims.ts'
import { resetPassword } from '../../../contracts/requests.ts'
import { filesHolding } from '../../../deploy/staging/nats/files.ts'
import { ready, world } from './harness.ts'

const w = await world(t)
await w.provisioner()
const inStore = (stream: string, text: string) => filesHolding(join(w.nats.storeDir, 'jetstream', 'KLAIM', 'streams', stream), text)

t.test('a member who is erased', async (t) => {
  const [request, other] = [await w.request(), await w.request()]
  const { claim_id, member_id, username } = request
  const server = ready(await w.ended(claim_id))
  ready(await w.ended(other.claim_id))
  await w.claimStore.request(resetPassword, { claim_id, member_id, user_id: server.user_id })
  await w.remove(request, server)
  await w.ended(claim_id, ['deleted'])
  for (const stream of ['SERVERS', 'KV_provisioning']) t.ok(inStore(stream, claim_id).length > 0 && inStore(stream, member_id).length > 0, `${stream} knew them`)
  t.same([inStore('KV_provisioning', username), inStore('KV_provisioning', 'sealed_password":"').length > 0], [[], true], 'of a server that is gone the name is not kept, nor is any earlier state of the claim')

  w.forget(claim_id)
  await w.claimStore.publish(claimErased, { key: claim_id, data: { member_id, claims: [{ claim_id, departures: 1 }], reason: 'asked' } })
  for (const until = Date.now() + 15_000; Date.now() < until && [claim_id, member_id].some((id) => inStore('SERVERS', id).length + inStore('KV_provisioning', id).length > 0);) await new Promise((resolve) => setTimeout(resolve, 20))
  t.same([claim_id, member_id, username].flatMap((id) => [...inStore('SERVERS', id), ...inStore('KV_provisioning', id)]), [], 'is in no byte of what was done on the panel')
  for (const stream of ['SERVERS', 'KV_provisioning']) t.ok(inStore(stream, other.claim_id).length > 0, 'others stay')

  const next = await w.request({ wa_jid: request.wa_jid })
  ready(await w.ended(next.claim_id))
  t.pass('may claim again')
})

t.test('a request that comes again after its member was erased', async (t) => {
  const request = await w.request({ template: 'nodejs' })
  const server = ready(await w.ended(request.claim_id))
  await w.remove(request, server)
  await w.ended(request.claim_id, ['deleted'])
  w.forget(request.claim_id)
  await w.claimStore.publish(claimErased, { key: request.claim_id, data: { member_id: request.member_id, claims: [{ claim_id: request.claim_id, departures: 1 }], reason: 'asked' } })
  const made = w.panel.state().requests['POST /servers']?.total
  // A durable that is made anew gets everything again, in the old order.
  await w.claimStore.raw.jsm.consumers.delete('CLAIMS', 'provisioner-claims')
  await w.nats.restoreTopology()
  await w.provisioner()
  const last = await w.request()
  ready(await w.ended(last.claim_id))
  t.same(w.panel.state().servers.filter(({ externalId }) => externalId === request.claim_id), [], 'makes no server')
  t.equal((w.panel.state().requests['POST /servers']?.total ?? 0) - (made ?? 0), 1, 'only that of the request after it')
})
