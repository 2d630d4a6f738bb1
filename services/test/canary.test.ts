// The canary on a whole system: RUNBOOK.md's own words about it, a panel that goes away under it, and a canary that is killed half-way.
import t from 'tap'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { startSystem } from '../../deploy/staging/system.ts'
import { scratch } from '../common/test/scratch.ts'
import { commands } from './commands.ts'
import { numberOf } from './crowd.ts'
import { actor, panelState, PASSWORD, put, until } from './journey.ts'
import { operatorOf } from './operator.ts'
import { walk } from './procedures.ts'
import { faultsIn } from './scrape.ts'

const NUMBER = numberOf(4)
/** What is promised for 95 of 100. */
const SLO_S = 120
/** A panel that is away is found out sooner than by a member. */
const PATIENCE_MS = 8_000

const directory = scratch(t)
const system = await startSystem({
  directory, graceMs: 3_600_000, members: 4,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '200', PANEL_DOUBLE_START_DELAY_MS: '50', PANEL_DOUBLE_RATE_LIMIT: '5000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '1000', RATE_LIMIT_JID_PER_MINUTE: '1000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100', LOST_CREATE_WAIT_MS: '2000', PANEL_PATIENCE_MS: '1000' },
    reaper: { SWEEP_EVERY_MS: '500', POSTPONE_MS: '500' },
    bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100' },
  },
})
t.teardown(() => system.close())
const port = await freePort()
const operator = operatorOf(system, directory, { places: [['127.0.0.1:9207', `127.0.0.1:${port}`], ['HEALTH_PORT=9207', `HEALTH_PORT=${port}`]], env: { CANARY_WHATSAPP_URL: system.whatsappUrl, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '' } })

interface Run { readonly result: string, readonly claim_id: string | null, readonly login_s?: number }
interface Claim { readonly claim_id: string, readonly status: string }

const metrics = async (): Promise<string> => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
async function value (series: string): Promise<number> {
  return Number((await metrics()).split('\n').find((line) => line.startsWith(`${series} `))?.split(' ').at(-1) ?? Number.NaN)
}
const runs = async (result: string): Promise<number> => await value(`klaim_canary_runs_total{result="${result}"}`)
const lastSuccess = async (): Promise<number> => await value('klaim_canary_last_success_timestamp_seconds')
async function claims (): Promise<Claim[]> {
  const { code, said } = await operator.run('scripts/klaim list --json')
  if (code !== 0) throw new Error(said)
  return said.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Claim).filter(({ claim_id: id }) => id !== undefined)
}
async function leavesNothing (what: string): Promise<void> {
  await until(what, async () => {
    const { servers, users } = await panelState(system)
    return servers.length === 0 && users.every(({ externalId }) => externalId === null) && (await claims()).every(({ status }) => ['deleted', 'failed'].includes(status)) || undefined
  })
}
const begun = async (): Promise<string> => await until('it has claimed', async () => (await claims()).find(({ status }) => status === 'creating')?.claim_id)
const install = async (how: 'success' | 'never'): Promise<void> => { await put(`${system.panelUrl}/__double/knobs`, 'PUT', { wings: { '*': { install: how } } }) }

/** The command of the page that goes on and on, with less time between its runs. */
const going = commands.find(({ text }) => text.includes('scripts/klaim canary --every 1h'))?.text ?? ''
const single = commands.find(({ text, under }) => under === 'The canary' && text.endsWith('scripts/klaim canary'))?.text ?? ''

t.test('the procedure of the runbook', async (t) => {
  const does = walk('The canary', operator)
  await does(t, 1, { input: NUMBER })
  const said = await does(t, 2, { prints: /^\S+ {2}✓ claim [0-9a-f-]{36}: the login after [\d.]+ s, gone after [\d.]+ s/m })
  t.ok(Number(/the login after ([\d.]+) s/.exec(said)?.[1]) < SLO_S, 'within what is promised')
  t.equal((await actor(system, NUMBER).chat()).filter(({ from, text }) => from === 'bot' && PASSWORD.test(text)).length, 1, 'its account has the login')
  t.equal((await panelState(system)).serverCreates, 1)
  await leavesNothing('no server, account or open claim is left')

  // One that is killed half-way.
  await install('never')
  const dying = operator.start(single.replace(/^(\S+) /, 'exec env $1 '))
  const left = await begun()
  dying.kill('SIGKILL')
  await once(dying, 'exit')
  const id = await until('its server is being installed', async () => (await panelState(system)).servers[0]?.id)
  await install('success')
  await put(`${system.panelUrl}/__double/install-finished`, 'POST', { id, successful: true })

  const child = operator.start(`exec env ${going.replace('--every 1h', '--every 5s')} --json`, { env: { CANARY_PATIENCE_MS: String(PATIENCE_MS) } })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const told: Run[] = []
  if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => { told.push(JSON.parse(line) as Run) })
  await until('the next run comes through', () => told.some(({ result }) => result === 'ok') || undefined)
  t.match((await operator.run(`scripts/klaim show ${left} --json`)).said, /"status":"deleted"/, 'and has had that of the killed one deleted before')
  t.ok(await lastSuccess() > Date.now() / 1_000 - 60)
  await does(t, 5, { prints: /^klaim_canary_runs_total\{result="ok"\} [1-9]/m })
  t.equal(faultsIn(await metrics()), '', 'promtool finds no fault with what it says')

  // The panel goes away under it: while it makes a server, or while it deletes one.
  const before = Date.now() / 1_000
  await system.kill('panel')
  const failure = await until('a run fails', () => told.find(({ result }) => ['CANARY_NOT_ACTIVE', 'CANARY_NOT_DELETED'].includes(result)))
  t.match(failure, { claim_id: /^[0-9a-f-]{36}$/, runbook: /^RUNBOOK\.md#code-canary-not-(active|deleted)$/ }, 'and says by which code')
  t.ok(await runs(failure.result) >= 1, 'by which it is counted')
  t.ok(await value(`klaim_canary_last_failure_timestamp_seconds{result="${failure.result}"}`) > Math.max(before, await lastSuccess()), 'and CanaryFailed goes by it')
  await system.start('panel')
  await until('it comes through again', async () => await lastSuccess() > await value(`klaim_canary_last_failure_timestamp_seconds{result="${failure.result}"}`) || undefined)
  t.ok(told.filter(({ result }) => result === 'ok').every(({ login_s: loginS }) => loginS !== undefined && loginS < SLO_S), 'within what is promised, each time')
  t.ok(await value('klaim_canary_claim_seconds_count') >= 2)

  child.kill('SIGTERM')
  t.same(await ended, [0, null])
  await leavesNothing('nothing is left of any of them')
})
