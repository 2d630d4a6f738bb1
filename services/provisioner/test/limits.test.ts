import t from 'tap'
import { ACCOUNTS_AT_ONCE } from '../builder.ts'
import { callsOf, panelCall, ready, world } from './harness.ts'

t.test("the panel's rate limit", async (t) => {
  const w = await world(t, { panel: { knobs: { rateLimit: 30, rateWindowMs: 1_000 } } })
  await w.provisioner({ RATE_WINDOW_MS: 1_000, INSTALL_POLL_EVERY_MS: 300 })
  const requests = await Promise.all(Array.from({ length: 20 }, () => w.request()))
  for (const { claim_id } of requests) ready(await w.ended(claim_id))
  t.equal(w.panel.state().tooManyRequests, 0, 'is never met by us alone')

  // Fifteen deletions are more than a window holds.
  const leaving = await Promise.all(requests.slice(0, 15).map(async (request) => {
    const server = ready(await w.ended(request.claim_id))
    await w.remove(request, server)
    return request.claim_id
  }))
  const coming = await Promise.all(Array.from({ length: 5 }, () => w.request()))
  for (const { claim_id } of coming) ready(await w.ended(claim_id))
  for (const claimId of leaving) await w.ended(claimId, ['deleted'])
  t.equal(w.panel.state().tooManyRequests, 0, 'nor by deletions and claims together, which all come to their end')

  // Another program with a key of the same administrator uses the limit up.
  const { claim_id } = await w.request()
  for (let call = 0; call < 40; call++) await panelCall(w.panel, 'GET', '/users/1', undefined, w.panel.keys.read)
  ready(await w.ended(claim_id))
  const refused = Object.entries(w.panel.state().requests).filter(([route]) => route !== 'GET /users/{user}').reduce((sum, [, { statuses }]) => sum + (statuses['429'] ?? 0), 0)
  t.ok(refused <= 2, 'is waited out where others use it up')
  })

t.test('two provisioners', async (t) => {
  const w = await world(t, { panel: { nodes: [{ name: 'one', ip: '127.70.3.1', ports: [20100, 20109] }, { name: 'two', ip: '127.70.3.1', ports: [20110, 20119] }] } })
  await Promise.all([w.provisioner(), w.provisioner()])
  const requests = await Promise.all(Array.from({ length: 20 }, () => w.request()))
  for (const { claim_id } of requests) ready(await w.ended(claim_id))
  t.equal(w.panel.state().servers.length, 20)
  t.same(Object.keys(w.panel.state().requests['POST /servers']?.statuses ?? {}), ['201'], 'never go for the same port, not even for the last one')
})

t.test('a crowd before a panel that takes its time', async (t) => {
  const more = 10
  const w = await world(t, { panel: { knobs: { latencyMs: 30_000 } } })
  const running = await w.provisioner({ PANEL_READ_TIMEOUT_MS: 60_000, PANEL_WRITE_TIMEOUT_MS: 60_000 })
  const requests = await Promise.all(Array.from({ length: ACCOUNTS_AT_ONCE + more }, () => w.request()))
  const at = (step: string): number => requests.filter(({ claim_id }) => w.said(claim_id).some(({ name, data }) => name === 'progressed' && (data as { step: string }).step === step)).length
  while (at('account') < ACCOUNTS_AT_ONCE || (await w.claimStore.raw.jsm.consumers.info('CLAIMS', 'provisioner-claims')).num_ack_pending < requests.length) await new Promise(setImmediate)
  t.same([at('queued'), at('account')], [ACCOUNTS_AT_ONCE, ACCOUNTS_AT_ONCE], 'is taken in hand in turn: nobody prepares for what the panel will not take soon')
  const began = Date.now()
  await running.stop()
  t.ok(Date.now() - began < 15_000, 'and hands all of them back when it stops')
})

t.test('whose turn it is once', async (t) => {
  const w = await world(t, { panel: { knobs: { rateLimit: 6_000 } } })
  await w.provisioner({ PANEL_CONCURRENCY: 64, PANEL_WRITE_TIMEOUT_MS: 120_000 })
  w.panel.setWings({ install: 'never' })
  const [first, second] = [await w.request(), await w.request()]
  while (w.panel.state().servers.length < 2) await new Promise(setImmediate)
  w.panel.setKnobs({ passwordHashMs: 60_000, workers: 2 * ACCOUNTS_AT_ONCE })
  const crowd = await Promise.all(Array.from({ length: ACCOUNTS_AT_ONCE + 1 }, () => w.request()))
  while (crowd.filter(({ claim_id }) => w.said(claim_id).length > 0).length < ACCOUNTS_AT_ONCE) await new Promise(setImmediate)
  w.panel.setKnobs({ answerNext: [{ route: 'GET /servers', status: 503, times: 1 }] })
  while (w.lines.filter((line) => line.includes('event.postponed')).length < 2) await new Promise(setImmediate)
  for (const { id } of w.panel.state().servers) w.panel.installFinished(id, true)
  ready(await w.ended(first.claim_id))
  ready(await w.ended(second.claim_id))
  t.equal(crowd.filter(({ claim_id }) => w.said(claim_id).length > 0).length, ACCOUNTS_AT_ONCE, 'waits behind no newcomers when it comes again')
})

t.test('a provisioner that stops', async (t) => {
  const w = await world(t)
  const first = await w.provisioner()
  w.panel.setWings({ install: 'never' })
  const { claim_id } = await w.request()
  while (w.panel.state().servers.length === 0) await new Promise(setImmediate)
  const from = Date.now()
  await first.stop()
  t.ok(Date.now() - from < 10_000, 'hands back what it waits for at once')
  await w.provisioner()
  const [server] = w.panel.state().servers
  w.panel.installFinished(server?.id ?? 0, true)
  t.equal(ready(await w.ended(claim_id)).server_id, server?.id, 'and the next goes on where it was')
  t.same([w.panel.state().serverCreates, callsOf(w.panel)['POST /users']], [1, 1])
})
