import t from 'tap'
import { accountsOf, callsOf, failure, panelCall, ready, world } from './harness.ts'

t.test('a node', async (t) => {
  const w = await world(t)
  await w.provisioner({ NODE_BREAK_MS: 60_000 })
  for (const mode of [{ kind: 'refuse' }, { kind: 'status', status: 500 }, { kind: 'status', status: 404 }, { kind: 'status', status: 422 }] as const) {
    w.panel.setWings({ create: mode }, 1)
    ready(await w.ended((await w.request()).claim_id))
  }
  t.same([...new Set(w.panel.state().servers.map(({ nodeId }) => nodeId))], [2], 'that fails is replaced by another')
  const failed = Object.entries(w.panel.state().requests['POST /servers']?.statuses ?? {}).filter(([status]) => status !== '201').reduce((sum, [, count]) => sum + count, 0)
  t.ok(failed <= 1, 'and left alone for a while')
  t.same(w.panel.state().orphans, [])
})

t.test('a node that hangs', async (t) => {
  const w = await world(t, { panel: { knobs: { guzzleTimeoutMs: 150 } } })
  await w.provisioner()
  w.panel.setWings({ create: { kind: 'hang', ms: 2_000 } }, 1)
  const servers = await Promise.all((await Promise.all(Array.from({ length: 6 }, () => w.request()))).map(async ({ claim_id }) => ready(await w.ended(claim_id))))
  t.equal(servers.length, 6)
  t.same([...new Set(w.panel.state().servers.map(({ nodeId }) => nodeId))], [2])
})

t.test('when no node works', async (t) => {
  const w = await world(t)
  const first = await w.provisioner({ NODE_BREAK_MS: 50, NODE_DEADLINE_MS: 1_000 })
  w.panel.setWings({ create: { kind: 'refuse' } })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'NODE_DOWN@create', 'claims fail after their time')
  t.same([w.panel.state().servers, accountsOf(w.panel), w.panel.state().orphans], [[], [], []])
  await first.stop()
  await w.provisioner({ NODE_BREAK_MS: 50 })
  const { claim_id } = await w.request()
  while ((w.panel.state().requests['POST /servers']?.total ?? 0) < 4) await new Promise((resolve) => setTimeout(resolve, 10))
  w.panel.setWings({ create: null })
  ready(await w.ended(claim_id))
  t.pass('and go on where one comes back before')
})

t.test('answers that are lost', async (t) => {
  const w = await world(t)
  await w.provisioner()
  w.panel.setKnobs({ dropAfterCommit: { serverCreate: 1 } })
  ready(await w.ended((await w.request()).claim_id))
  t.equal(w.panel.state().serverCreates, 1, 'a create that was carried out is not sent again')
  w.panel.setKnobs({ answerNext: [{ route: 'POST /servers', status: 502, times: 1 }] })
  ready(await w.ended((await w.request()).claim_id))
  t.equal(w.panel.state().servers.length, 2, 'one that was not is')
  w.panel.setKnobs({ dropAfterCommit: { serverDelete: 1, userDelete: 1 } })
  w.panel.setWings({ install: 'failure' })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'INSTALL_FAILED@install')
  t.equal(w.panel.state().servers.length, 2, 'a clean-up goes on until it is done')
  t.equal(accountsOf(w.panel).length, 2)
})

t.test('a panel', async (t) => {
  const w = await world(t)
  const provisioner = await w.provisioner()
  w.panel.setKnobs({ maintenance: true })
  const waiting = await Promise.all([w.request(), w.request(), w.request()])
  while ((w.panel.state().requests['unknown']?.total ?? 0) + (w.panel.state().requests['POST /users']?.total ?? 0) < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  t.equal(await provisioner.checks['panel']?.(), 'PANEL_DOWN', 'in maintenance makes the service unready')
  w.panel.setKnobs({ maintenance: false })
  for (const { claim_id } of waiting) ready(await w.ended(claim_id))
  t.equal(await provisioner.checks['panel']?.(), 'ok', 'and is waited for')
  await provisioner.stop()

  const refused = await w.provisioner({ PANEL_KEY: w.panel.keys.plainUser, PANEL_DEADLINE_MS: 300 })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'PANEL_KEY_REFUSED@account', 'that refuses the key is waited for until the deadline')
  await refused.stop()
  const second = await w.provisioner({ PANEL_DEADLINE_MS: 300 })
  w.panel.setKnobs({ twoFactorRequired: true })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'PANEL_KEY_REFUSED@account')
  w.panel.setKnobs({ twoFactorRequired: false })
  await second.stop()
  await w.provisioner({ PANEL_URL: 'http://127.0.0.1:9', PANEL_DEADLINE_MS: 300 })
  t.equal(failure(await w.ended((await w.request()).claim_id)), 'PANEL_DOWN@account', 'so is one that is not there')
})

t.test("the panel's rate limit", async (t) => {
  const w = await world(t, { panel: { knobs: { rateLimit: 30, rateWindowMs: 1_000 } } })
  await w.provisioner({ RATE_WINDOW_MS: 1_000, INSTALL_POLL_EVERY_MS: 300 })
  const requests = await Promise.all(Array.from({ length: 20 }, () => w.request()))
  for (const { claim_id } of requests) ready(await w.ended(claim_id))
  t.equal(w.panel.state().tooManyRequests, 0, 'is never met by us alone')

  // Another program with a key of the same administrator uses the limit up.
  const { claim_id } = await w.request()
  for (let call = 0; call < 40; call++) await panelCall(w.panel, 'GET', '/users/1', undefined, w.panel.keys.read)
  ready(await w.ended(claim_id))
  const refused = Object.entries(w.panel.state().requests).filter(([route]) => route !== 'GET /users/{user}').reduce((sum, [, { statuses }]) => sum + (statuses['429'] ?? 0), 0)
  t.ok(refused <= 2, 'is waited out where others use it up')
  })

t.test('two provisioners', async (t) => {
  const w = await world(t)
  await Promise.all([w.provisioner(), w.provisioner()])
  const requests = await Promise.all(Array.from({ length: 20 }, () => w.request()))
  for (const { claim_id } of requests) ready(await w.ended(claim_id))
  t.equal(w.panel.state().servers.length, 20)
  t.same(Object.keys(w.panel.state().requests['POST /servers']?.statuses ?? {}), ['201'], 'never go for the same port')
})

t.test('a provisioner that stops', async (t) => {
  const w = await world(t)
  const first = await w.provisioner()
  w.panel.setWings({ install: 'never' })
  const { claim_id } = await w.request()
  while (w.panel.state().servers.length === 0) await new Promise(setImmediate)
  const from = Date.now()
  await first.stop()
  t.ok(Date.now() - from < 2_000, 'hands back what it waits for at once')
  await w.provisioner()
  const [server] = w.panel.state().servers
  w.panel.installFinished(server?.id ?? 0, true)
  t.equal(ready(await w.ended(claim_id)).server_id, server?.id, 'and the next goes on where it was')
  t.same([w.panel.state().serverCreates, callsOf(w.panel)['POST /users']], [1, 1])
})
