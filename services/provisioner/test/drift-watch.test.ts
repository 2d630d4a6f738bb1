import t from 'tap'
import { Registry } from 'prom-client'
import { answering } from '../../common/bus.ts'
import { listClaims, type ClaimView } from '../../../contracts/requests.ts'
import { createPanelBudget } from '../panel-budget.ts'
import { createPanelClient } from '../panel-client.ts'
import { createPterodactyl } from '../pterodactyl.ts'
import { account, callsOf, panelCall, ready, world } from './harness.ts'

t.test('the panel is compared with the ledger, and nothing more', async (t) => {
  const w = await world(t)
  let claims: ClaimView[] = []
  await w.claimStore.respond([answering(listClaims, async () => ({ ok: true as const, claims }))])
  const { metrics } = await w.provisioner({ DRIFT_EVERY_MS: 100 })
  const gauge = async (kind: string): Promise<number | undefined> => (await metrics.registry.getSingleMetric('klaim_drift_findings')?.get())?.values.find(({ labels }) => labels['kind'] === kind)?.value
  const shows = async (kind: string, count: number): Promise<void> => { while (await gauge(kind) !== count) await new Promise((resolve) => setTimeout(resolve, 20)) }
  const request = await w.request()
  const { user_id, server_id, allocation_id } = ready(await w.ended(request.claim_id))
  const at = new Date().toISOString()
  const claim: ClaimView = { ...request, status: 'active', user_id, server_id, allocation_id, deletion_scheduled_at: null, delete_job_id: null, created_at: at, updated_at: at, last_event_at: at }
  claims = [claim]
  await shows('CLAIM_WITHOUT_SERVER', 0)
  const before = Object.entries(callsOf(w.panel)).filter(([route]) => !route.startsWith('GET'))
  claims = [{ ...claim, user_id: user_id + 1 }]
  await shows('OWNER_MISMATCH', 1)
  claims = [{ ...claim, status: 'deleted' }]
  await shows('SERVER_WITHOUT_CLAIM', 1)
  claims = [claim]
  await shows('SERVER_WITHOUT_CLAIM', 0)
  t.same(Object.entries(callsOf(w.panel)).filter(([route]) => !route.startsWith('GET')), before, 'by reading alone')
  const said = w.lines.filter((line) => line.includes('ledger and panel disagree'))
  t.match(said[0], `"claim_id":"${request.claim_id}"`, 'the log has the ids')
  t.notMatch(said.join(''), request.wa_jid.slice(0, 13))
})

t.test('a list of several pages is read to its end', async (t) => {
  const w = await world(t)
  const budget = createPanelBudget({ concurrency: { server: 1, other: 4 }, windowMs: 60_000, patienceMs: 1_000, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url: w.panel.url, key: w.panel.applicationKey, budget, readTimeoutMs: 5_000, writeTimeoutMs: 5_000, registry: new Registry(), stopCalls: new AbortController().signal }))
  t.teardown(() => panel.close())
  const never = new AbortController().signal
  t.same(await panel.servers(never), [], 'also an empty one')
  for (let n = 0; n < 120; n++) t.equal((await panelCall(w.panel, 'POST', '/users', account({ username: `member${n}`, email: `member${n}@elsewhere.example.invalid` }))).status, 201)
  const all = w.panel.state().users.map(({ id }) => id)
  const users = await panel.users(never)
  t.same(users.map(({ id }) => id), all)
  t.equal(callsOf(w.panel)['GET /users'], 2)

  // While it is read, an account of the first page goes again and again, so that those after it move up.
  let isOver = false
  const going = (async () => { for (const { id } of users.slice(5, 60)) if (!isOver) await panelCall(w.panel, 'DELETE', `/users/${id}`) })()
  const read = await panel.users(never).then((list) => list.map(({ id }) => id), (error: unknown) => (error as { code: string }).code)
  isOver = true
  await going
  const left = new Set(w.panel.state().users.map(({ id }) => id))
  t.ok(read === 'PANEL_BUSY' || Array.isArray(read) && [...left].every((id) => read.includes(id)), 'or not at all: nobody who is there is left out')
})
