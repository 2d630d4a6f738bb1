import t from 'tap'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Pool } from 'undici'
import { chats, loginsIn, numberOf, stored } from '../../../services/test/crowd.ts'
import { actor, until } from '../../../services/test/journey.ts'
import { startTraffic } from '../../../services/test/traffic.ts'
import { freePort } from '../../staging/nats/nats-server.ts'
import { SERVICES, startSystem } from '../../staging/system.ts'

// The system as PM2 keeps it on a server, reloaded while people claim, pages look how far their claims are, and an outside bot tells of movements.
const ROOT = resolve(import.meta.dirname, '../../..')
const MEMBERS = 150
const STRANGER = '6281299990001'
const GATEWAY_RELOADS = 3
const LOOKING_AT_ONCE = 8
/** How often each of them looks: a keen page, many times over. */
const LOOK_EVERY_MS = 20

const directory = mkdtempSync(join(tmpdir(), 'klaim-pm2-'))
const at = (name: string): string => join(directory, name)
const ports = await twoPorts()
const system = await startSystem({
  directory, graceMs: 600_000, members: MEMBERS,
  env: {
    panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '600', PANEL_DOUBLE_START_DELAY_MS: '200', PANEL_DOUBLE_RATE_LIMIT: '100000' },
    gateway: { RATE_LIMIT_IP_PER_MINUTE: '10000', RATE_LIMIT_JID_PER_MINUTE: '10000', RATE_LIMIT_STATUS_PER_MINUTE: '10000' },
    provisioner: { INSTALL_POLL_EVERY_MS: '300', PROBE_EVERY_MS: '200' },
    bot: { SEND_GAP_MS: '20', LEASE_MS: '1500', ROSTER_DEBOUNCE_MS: '100', ROSTER_GAP_MS: '200' },
  },
})
const pm2 = async (...args: string[]): Promise<string> => (await promisify(execFile)(join(ROOT, 'node_modules/.bin/pm2'), args, {
  cwd: directory,
  env: { PATH: process.env['PATH'], HOME: directory, NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], PM2_HOME: at('pm2'), KLAIM_ENV_DIRECTORY: at('env'), KLAIM_LOG_DIRECTORY: at('pm2-logs') },
})).stdout
t.teardown(async () => {
  await pm2('kill')
  await system.close()
})

interface Process { readonly name: string, readonly pid: number, readonly pm2_env: { readonly status: string, readonly restart_time: number } }
const processes = async (): Promise<Process[]> => JSON.parse((await pm2('jlist')).replace(/^[^[]*/, '')) as Process[]

/** `increment_var` counts on. */
async function twoPorts (): Promise<[number, number]> {
  for (;;) {
    const first = await freePort()
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => { server.once('error', () => { resolve(false) }).listen(first + 1, '127.0.0.1', () => { resolve(true) }) })
    if (!isFree) continue
    await new Promise((resolve) => { server.close(resolve) })
    return [first, first + 1]
  }
}

t.test('the services under PM2', async (t) => {
  for (const name of SERVICES) await system.kill(name, 'SIGTERM')
  mkdirSync(at('env'), { mode: 0o700 })
  mkdirSync(at('pm2-logs'), { mode: 0o700 })
  for (const name of SERVICES) {
    const settings = { ...system.environment(name), ...(name === 'gateway' ? { HEALTH_PORT: String(ports[0]) } : {}), ...(name === 'bot' ? { NODE_OPTIONS: '--import=./deploy/staging/whatsapp/trust-root.ts' } : {}) }
    writeFileSync(at(`env/${name}.env`), Object.entries(settings).map(([key, value]) => `${key}='${value}'\n`).join(''), { mode: 0o600 })
  }
  await pm2('start', join(ROOT, 'deploy/pm2/ecosystem.config.cjs'))
  const started = await processes()
  t.same(started.map(({ name, pm2_env: { status } }) => `${name} ${status}`).toSorted(), ['gateway', ...SERVICES].toSorted().map((name) => `${name} online`), 'run, the gateway twice')
  for (const url of [...ports.map((port) => `http://127.0.0.1:${port}`), ...SERVICES.filter((name) => name !== 'gateway').map((name) => system.healthUrl(name))]) {
    await until(`${url} is ready`, async () => (await fetch(`${url}/readyz`)).ok || undefined)
  }
})

t.test('are reloaded', async (t) => {
  let isBotAway = false
  const webhookSecret = readFileSync(join(system.secretsDirectory, 'webhook_secrets'), 'utf8')
  const traffic = startTraffic(system, { webhookSecret, numberOf, first: 1, last: MEMBERS - 5, stranger: STRANGER, isBotAway: () => isBotAway })
  const looking = startLooking(system.gatewayUrls[0] ?? '')
  await until('somebody has claimed', async () => await stored(system, 'CLAIMS', 'claims.*.requested') > 0 || undefined)

  const before = await processes()
  for (let turn = 0; turn < GATEWAY_RELOADS; turn++) await pm2('reload', 'gateway')
  const { looks, lost } = await looking.stop()
  t.ok(looks > 200, 'a look is taken all the while')
  t.same(lost, [], 'the gateway, and no request is lost')
  t.comment(`${looks} looks over kept connections during ${GATEWAY_RELOADS} reloads of two gateways, ${lost.length} lost`)

  for (const name of SERVICES.filter((each) => each !== 'gateway')) {
    isBotAway = name === 'bot'
    await pm2('reload', name)
    await until(`${name} is ready`, async () => (await fetch(`${system.healthUrl(name)}/readyz`)).ok || undefined)
    isBotAway = false
  }
  const after = await processes()
  const pids = (list: readonly Process[]): number[] => list.map(({ pid }) => pid)
  t.same(pids(after).filter((pid) => pids(before).includes(pid)), [], 'every process is another')
  t.same(after.map(({ pm2_env: { status } }) => status), SERVICES.concat('gateway').map(() => 'online'))

  await until('ten have claimed', async () => await stored(system, 'CLAIMS', 'claims.*.requested') >= 10 || undefined)
  const { claims, notices, refusals } = await traffic.stop()
  t.same(refusals, [], 'nobody was refused')
  t.ok(claims.length >= 10 && notices >= 40, `${claims.length} claims, ${notices} notices`)
  await until('what was claimed is told', async () => await stored(system, 'MESSAGES', 'messages.delivered.*') >= claims.length || undefined)
  const progress = await Promise.all(claims.map(async ({ number, claimId }) => (await actor(system, number).progress(claimId)).status))
  t.same(progress.filter((status) => status !== 'active'), [], 'each claim is active')
  const said = await chats(system)
  t.same(claims.map(({ number }) => loginsIn(said.get(number) ?? []).length), claims.map(() => 1), 'each login arrived once')
  t.equal(await stored(system, 'MEMBERS', 'members.*.joined'), notices, 'no notice was lost')
  t.equal(await stored(system, 'DEAD_LETTERS'), 0)
})

/** Pages that look again and again, over connections that they keep. */
function startLooking (url: string): { stop: () => Promise<{ looks: number, lost: string[] }> } {
  const pool = new Pool(url, { connections: LOOKING_AT_ONCE, pipelining: 1 })
  const lost: string[] = []
  let looks = 0
  let stopping = false
  async function look (): Promise<void> {
    for (; !stopping; await delay(LOOK_EVERY_MS)) {
      looks++
      try {
        // Nothing is asked again by itself.
        const { statusCode, body } = await pool.request({ path: '/api/templates', method: 'GET', idempotent: false })
        await body.dump()
        if (statusCode !== 200) lost.push(String(statusCode))
      } catch (error) {
        lost.push((error as Error).message)
      }
    }
  }
  const running = Promise.all(Array.from({ length: LOOKING_AT_ONCE }, look))
  return {
    stop: async () => {
      stopping = true
      await running
      await pool.close()
      return { looks, lost }
    },
  }
}
