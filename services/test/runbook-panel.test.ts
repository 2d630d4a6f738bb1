// What the runbook says about the panel and its nodes, done step by step on a system: the commands as they stand there, and between them what a person does on the panel.
import t from 'tap'
import { startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { numberOf } from './crowd.ts'
import { driftOf } from './drift-command.ts'
import { actor, panelState, put } from './journey.ts'
import { operatorOf, type Meaning } from './operator.ts'
import { walk } from './procedures.ts'

const directory = scratch(t)
/** Six ports are all there are. */
const PORTS_PER_NODE = 3
/** For the six hours, and the quarter of an hour. */
const DEADLINE_MS = 20_000
const system = await startSystem({
  directory, graceMs: 3_600_000, members: 12,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50', PANEL_DOUBLE_PORTS_PER_NODE: String(PORTS_PER_NODE), PANEL_DOUBLE_RATE_LIMIT: '5000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '1000' },
    provisioner: {
      INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100', LOST_CREATE_WAIT_MS: '4000', DRIFT_EVERY_MS: '1000', INVENTORY_FRESH_MS: '500',
      PANEL_PATIENCE_MS: '2000', PANEL_DEADLINE_MS: String(DEADLINE_MS), NODE_DEADLINE_MS: String(DEADLINE_MS), NODE_BREAK_MS: '1000',
    },
    reaper: { SWEEP_EVERY_MS: '500', POSTPONE_MS: '500' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(() => system.close())
const operator = operatorOf(system, directory)
await operator.run('nats context save klaim --server="$NATS_URL" --nkey=/etc/klaim/nats_operator.nk --select')
const { panel } = driftOf(system)

const member = (n: number) => actor(system, numberOf(n))
const becomes = async (claimId: string, status: string): Promise<void> => { await member(1).becomes(claimId, status) }
const about = (claimId: string): readonly Meaning[] => [['"claim_id":"…"', `"claim_id":"${claimId}"`], ['<claim_id>', claimId]]
const claimIn = (said: string): string => /"outcome":"done","claim_id":"([0-9a-f-]{36})"/.exec(said)?.[1] ?? ''
const serverOf = async (claimId: string) => (await panelState(system)).servers.find(({ externalId }) => externalId === claimId)

t.test('the panel is down for hours', async (t) => {
  const does = walk('The panel is down for hours.', operator)
  await system.kill('panel')
  const patient = await member(1).claimed()
  await does(t, 1, { prints: /"panel":"PANEL_DOWN"/ })
  await system.start('panel')
  await does(t, 4, { prints: /"status":"ready"/ })
  await does(t, 5, { prints: /"claims":\[\]/ })
  t.equal((await member(1).progress(patient)).status, 'active', 'a claim that was accepted goes on by itself')

  await system.kill('panel')
  const late = await member(2).claimed()
  await does(t, 3, { prints: /"ok":true/ })
  t.match(await member(3).claim(), { status: 503, body: { error: { code: 'CLAIMS_CLOSED' } } }, 'nobody new is made to wait')
  await becomes(late, 'failed')
  await system.start('panel')
  await does(t, 4, { prints: /"status":"ready"/ })
  await does(t, 6, { prints: new RegExp(`"claim_id":"${late}".*"failure_code":"PANEL_DOWN"`) })
  await member(2).hears(/Panel sedang tidak bisa dihubungi/)
  const retried = claimIn(await does(t, 7, { fill: about(late), prints: /"outcome":"done"/ }))
  await does(t, 8, { prints: /"ok":true/ })
  await becomes(retried, 'active')
  await member(2).hears(/Server kamu siap!/)
  await does(t, 9, { prints: /agree/ })
})

t.test('the ports are used up', async (t) => {
  const does = walk('The ports are used up.', operator)
  for (const n of [3, 4, 5, 6]) await member(n).claimed('active')
  const without = await member(7).claimed('failed')
  await member(7).hears(/Semua slot server sedang terpakai/)
  await does(t, 1, { prints: /node="1".* 0\n.*node="2".* 0$/m })
  await does(t, 2, { prints: /"ok":true/ })
  const address = (await panelState(system)).servers[0]?.address ?? ''
  for (const [node, ports] of [[1, '25600-25602'], [2, '25700-25702']] as const) {
    t.equal((await panel('POST', `/nodes/${node}/allocations`, { ip: address.split(':')[0], ports: [ports] })).status, 204, 'somebody adds ports on the panel')
  }
  await does(t, 4, { prints: /node 1 .* has 3 of 6 ports free[^]*node 2 .* has 3 of 6 ports free/ })
  await does(t, 5, { prints: new RegExp(`"claim_id":"${without}".*"failure_code":"NO_FREE_PORT"`) })
  const retried = claimIn(await does(t, 6, { fill: about(without), prints: /"outcome":"done"/ }))
  await becomes(retried, 'active')
  await does(t, 7, { prints: /"ok":true/ })
})

t.test('a server was deleted by mistake', async (t) => {
  const does = walk('A server was deleted by mistake.', operator)
  const { error } = (await member(3).claim()).body
  const claimId = error?.claim_id ?? ''
  await panel('DELETE', `/servers/${(await serverOf(claimId))?.id}`)
  await does(t, 1, { prints: /"tripped":true/ })
  await does(t, 2, { fill: about(claimId), prints: /"status":"active"/ })
  await does(t, 9, { prints: /"tripped":false/ })
  const ending = `nats request klaim.claim-store.delete '{"claim_id":"${claimId}","even_if_present":true,"by":"on call","why":"its server is gone"}'`
  t.match((await operator.run(ending)).said, /"outcome":"done"/)
  await does(t, 2, { fill: about(claimId), prints: /"status":"deleted"/ })
  await member(3).hears(/Admin memutuskan server kamu dihapus/)
  await does(t, 3, { fill: about(claimId), prints: /"identifier": ?"[0-9a-f]{8}"/ })
  const again = await member(3).claimed('active')
  t.not(again, claimId, 'the member has a new server')
  t.ok(await serverOf(again))
})

t.test('a node of the panel is lost', async (t) => {
  const does = walk('A node of the panel is lost.', operator)
  const wings = async (modes: Record<string, 'ok' | 'refuse'>): Promise<void> => {
    await put(`${system.panelUrl}/__double/knobs`, 'PUT', { wings: Object.fromEntries(Object.entries(modes).map(([node, kind]) => [node, { mode: { kind } }])) })
  }
  const isOnFirst = ({ address }: { address: string }): boolean => [20_100, 20_101, 20_102, 25_600, 25_601, 25_602].includes(Number(address.split(':')[1]))
  await wings({ 1: 'refuse', 2: 'refuse' })
  const waiting = await member(8).claimed()
  await does(t, 1, { prints: /NODE_DOWN/ })
  await wings({ 2: 'ok' })
  await becomes(waiting, 'active')
  const spared = await serverOf(waiting)
  t.ok(spared && !isOnFirst(spared), 'new servers are made on the other node')
  const [{ id, externalId } = { id: 0, externalId: '' }] = (await panelState(system)).servers.filter(isOnFirst)
  const claimId = externalId ?? ''
  t.equal((await panel('DELETE', `/servers/${id}`)).status, 504, 'the panel cannot delete what a node does not answer for')
  t.equal((await panel('DELETE', `/servers/${id}/force`)).status, 204, 'unless it is forced to')
  await does(t, 7, { fill: about(claimId), prints: /"outcome":"done"/ })
  await becomes(claimId, 'deleted')
  await does(t, 9, { prints: /agree/ })
})
