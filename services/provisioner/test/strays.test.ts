// What scripts/drift apply asks the provisioner to delete: only what is provably a former member's, and nothing while deletions wait.
import t, { type Test } from 'tap'
import { claimRestored } from '../../../contracts/events/claims.ts'
import { deleteStrayAccount, deleteStrayServer, getBrake, type RepairAnswer } from '../../../contracts/requests.ts'
import { answering, createBus, type Bus } from '../../common/bus.ts'
import type { Fault } from '../../common/fault.ts'
import { createLog } from '../../common/log.ts'
import { createMetrics } from '../../common/metrics.ts'
import { account, callsOf, panelCall, ready, world, type Request, type World } from './harness.ts'

const word = { by: 'on call', why: 'the panel was restored' }

async function strays (t: Test) {
  const w = await world(t)
  await w.provisioner()
  const brake = { tripped: false, asked: 0, calls: {} as Record<string, number> }
  const opened = async (service: 'operator' | 'reaper'): Promise<Bus> => {
    const bus = await createBus({ ...w.nats.playing(service), log: createLog(service, 'silent', () => {}), metrics: createMetrics(service), now: () => new Date() })
    t.teardown(() => bus.close())
    return bus
  }
  const operator = await opened('operator')
  const reap = async (): Promise<Bus> => {
    const reaper = await opened('reaper')
    await reaper.respond([answering(getBrake, async () => {
      brake.asked++
      brake.calls = callsOf(w.panel)
      return { ok: true as const, tripped: brake.tripped, tripped_at: null, reason: null, releases_at: null }
    })])
    return reaper
  }
  return { w, operator, brake, reap }
}

/** A claim that is over, while the panel still has its server and its account, as after the panel came back from a backup. */
async function over (w: World, status: 'failed' | 'deleted' = 'deleted'): Promise<{ request: Request, claim_id: string, server_id: number, user_id: number }> {
  const request = await w.request()
  const { server_id, user_id } = ready(await w.ended(request.claim_id))
  w.stands(request.claim_id, { status, user_id, server_id })
  return { request, claim_id: request.claim_id, server_id, user_id }
}
const codeOf = async (answer: Promise<RepairAnswer>): Promise<string> => await answer.then((said) => said.ok ? said.outcome : said.rejection, (error: Fault) => error.code)
const hasServer = (w: World, id: number): boolean => w.panel.state().servers.some((server) => server.id === id)

t.test('the server of a claim that is over', async (t) => {
  const { w, operator, brake, reap } = await strays(t)
  const reaper = await reap()
  const ask = async ({ claim_id, server_id }: { claim_id: string, server_id: number }): Promise<string> => await codeOf(operator.request(deleteStrayServer, { claim_id, server_id, ...word }))
  const bystander = await over(w)

  for (const status of ['failed', 'deleted'] as const) {
    const one = await over(w, status)
    t.equal(await ask(one), 'done', status)
    t.notOk(hasServer(w, one.server_id))
    t.ok(w.panel.state().users.some(({ id }) => id === one.user_id), 'its account stays')
    t.equal(await ask(one), 'already')
  }

  const one = await over(w)
  for (const status of ['creating', 'active', 'deleting'] as const) {
    w.stands(one.claim_id, { status })
    t.equal(await ask(one), 'CLAIM_NOT_OVER', status)
  }
  w.forget(one.claim_id)
  t.equal(await ask(one), 'CLAIM_NOT_OVER', 'a claim that nobody knows')

  const two = await over(w)
  t.equal(await ask({ ...two, server_id: bystander.server_id }), 'SERVER_OTHER', 'not the number that was planned')
  const { attributes } = await panelCall(w.panel, 'POST', '/users', account({}))
  await panelCall(w.panel, 'PATCH', `/servers/${two.server_id}/details`, { name: 'moved', user: attributes['id'], external_id: two.claim_id })
  t.equal(await ask(two), 'OWNER_OTHER', 'in the hands of somebody else')
  await panelCall(w.panel, 'PATCH', `/servers/${two.server_id}/details`, { name: 'unnamed', user: two.user_id })
  t.equal(await ask(two), 'already', 'without its id it is nobody\'s that we know, whatever its number')

  const three = await over(w)
  await panelCall(w.panel, 'PATCH', `/users/${three.user_id}`, { email: 'a@elsewhere.example.invalid', username: 'promoted', first_name: 'a', last_name: 'b', root_admin: true })
  t.equal(await ask(three), 'OWNER_OTHER', 'of an administrator')

  const four = await over(w)
  w.panel.resetCounters()
  brake.tripped = true
  t.equal(await ask(four), 'BRAKE_ON')
  t.same(brake.calls, { 'GET /servers/external/{external}': 2, 'GET /users/{user}': 1 }, 'the brake is asked last, when everything else has been looked at')
  await reaper.close()
  t.equal(await ask(four), 'REAPER_AWAY', 'nobody says that the brake is off')
  t.notOk(callsOf(w.panel)['DELETE /servers/{server}'], 'and nothing was sent')
  brake.tripped = false
  await reap()
  w.panel.setWings({ delete: { kind: 'refuse' } })
  t.equal(await ask(four), 'NODE_DOWN')
  t.same([bystander, two, three, four].map(({ server_id }) => hasServer(w, server_id)), [true, true, true, true], 'stay')
  w.panel.setWings({ delete: null })
  t.equal(await ask(four), 'done', 'until nothing is in the way')
  t.match(w.lines.filter((line) => line.includes('an operator has a server')).at(-1), '"by":"on call","why":"the panel was restored","outcome":"done"')
})

t.test('the account of a member without a claim', async (t) => {
  const { w, operator, brake, reap } = await strays(t)
  const reaper = await reap()
  const ask = async (member_id: string, user_id: number): Promise<string> => await codeOf(operator.request(deleteStrayAccount, { member_id, user_id, ...word }))
  const has = (id: number): boolean => w.panel.state().users.some((user) => user.id === id)
  /** What remains after the first round: the server is gone, its account is not. */
  const lonely = async (): Promise<Awaited<ReturnType<typeof over>>> => {
    const one = await over(w)
    w.panel.removeServer(one.server_id)
    return one
  }
  const bystander = await lonely()
  const one = await lonely()
  t.equal(await ask(one.request.member_id, one.user_id), 'done')
  t.notOk(has(one.user_id))
  t.equal(await ask(one.request.member_id, one.user_id), 'already')

  const two = await lonely()
  t.equal(await ask(two.request.member_id, bystander.user_id), 'OWNER_OTHER', 'not that of another member')
  t.equal(await ask('abcdefghijklmnopqrst', two.user_id), 'CLAIM_NOT_OVER', 'nor of a member of whom the ledger knows nothing')
  await panelCall(w.panel, 'PATCH', `/users/${two.user_id}`, { email: 'b@elsewhere.example.invalid', username: 'promoted', first_name: 'a', last_name: 'b', root_admin: true })
  t.equal(await ask(two.request.member_id, two.user_id), 'OWNER_OTHER', 'nor of an administrator')

  const three = await over(w)
  t.equal(await ask(three.request.member_id, three.user_id), 'ACCOUNT_IN_USE', 'nor one that owns a server')
  w.panel.removeServer(three.server_id)
  w.stands(three.claim_id, { status: 'active' })
  t.equal(await ask(three.request.member_id, three.user_id), 'CLAIM_NOT_OVER', 'nor of one whose claim lives')

  const four = await lonely()
  brake.tripped = true
  t.equal(await ask(four.request.member_id, four.user_id), 'BRAKE_ON')
  await reaper.close()
  t.equal(await ask(four.request.member_id, four.user_id), 'REAPER_AWAY')
  brake.tripped = false
  await reap()
  // A claim-store that is behind still answers for the member the claim that is over; the stream knows better.
  const again = await w.request({ wa_jid: four.request.wa_jid })
  t.equal(await ask(four.request.member_id, four.user_id), 'CLAIM_NOT_OVER', 'nor of one who has just claimed again')
  t.equal(ready(await w.ended(again.claim_id)).user_id, four.user_id)
  t.same([bystander, two, three, four].map(({ user_id }) => has(user_id)), [true, true, true, true], 'stay')

  // The ledger was made anew from the book: it no longer says how a claim was asked for.
  const five = await lonely()
  const restored = { claim_id: five.claim_id, member_id: five.request.member_id, wa_jid: five.request.wa_jid, language: 'id', status: 'deleted', created_at: new Date().toISOString(), departures: 1 } as const
  await w.claimStore.raw.jsm.streams.purge('CLAIMS', { filter: `claims.${restored.member_id}.requested` })
  t.equal(await ask(restored.member_id, five.user_id), 'CLAIM_NOT_OVER', 'nor of one of whom the stream knows nothing')
  await w.claimStore.publish(claimRestored, { key: five.claim_id, data: restored, correlation: five.claim_id })
  t.equal(await ask(restored.member_id, five.user_id), 'done', 'a claim that was restored is known like one that was asked for')
})

t.test('a provisioner whose clock is wrong', async (t) => {
  const { w, operator, reap, brake } = await strays(t)
  await reap()
  const one = await over(w)
  w.clock.wrongMs = -3_600_000
  t.equal(await codeOf(operator.request(deleteStrayServer, { claim_id: one.claim_id, server_id: one.server_id, ...word })), 'CLOCK_SKEWED')
  t.same([hasServer(w, one.server_id), brake.asked], [true, 0], 'deletes nothing')
})
