// Klaim beside what one would build first: the same chain on BullMQ and Redis with `appendfsync always` (deploy/load/baseline-bullmq), with the same bot and the same panel, in the same run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { env } from 'node:process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { secretOf } from '../../deploy/secrets/catalogue.ts'
import { openDirectory } from '../../deploy/secrets/directory.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import { environmentOf, loadTemplates } from '../../services/common/templates.ts'
import { waJidOf } from '../../services/test/crowd.ts'
import { until } from '../../services/test/journey.ts'
import type { Bench } from './bench.ts'
import { atRate, visitorsOf, withSystem } from './crowd.ts'
import { overheads, QUICK_PANEL, timed } from './pipeline.ts'
import { quantile } from './statistics.ts'

const PER_SECOND = 200
const ACCEPTED = PER_SECOND * 10
const PER_MINUTE = 600
const CLAIMS = 100
const WARM_UP = 20

interface Times { accepted?: number, made?: number, active?: number }

interface Chain {
  readonly url: string
  /** Epoch milliseconds by claim. */
  readonly times: ReadonlyMap<string, Times>
  close (): Promise<void>
}

async function startChain (directory: string, panelUrl: string, secrets: { readonly panelKey: string, readonly internalSecret: string, readonly botUrl: string }): Promise<Chain> {
  const { REDIS_SERVER: redis, BASELINE: baseline } = env
  if (redis === undefined || baseline === undefined) throw new Error('without REDIS_SERVER and BASELINE, which scripts/bench sets where it is asked for this row')
  mkdirSync(directory, { recursive: true })
  const [redisPort, port] = [await freePort(), await freePort()]
  const log = openSync(join(directory, 'baseline.log'), 'a', 0o600)
  const server = spawn('setpriv', ['--pdeathsig', 'KILL', redis, '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', directory, '--appendonly', 'yes', '--appendfsync', 'always', '--save', '', '--maxmemory-policy', 'noeviction'], { stdio: ['ignore', log, log] })
  await until('Redis listens', async () => {
    const socket = connect(redisPort, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    return true
  }, { everyMs: 20 })
  const template = loadTemplates('config/templates.json').get('nodejs')?.definition
  if (!template) throw new Error('no template nodejs')
  const fields = { egg: template.egg, docker_image: template.image, startup: template.startup, environment: environmentOf(template, 0), limits: template.limits, feature_limits: template.feature_limits, skip_scripts: false, oom_disabled: false, start_on_completion: true }
  const chain = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, join(baseline, 'chain.js')], {
    stdio: ['ignore', 'pipe', log],
    env: { PATH: env['PATH'], REDIS_PORT: String(redisPort), PORT: String(port), BOT_URL: secrets.botUrl, INTERNAL_SECRET: secrets.internalSecret, PANEL_URL: panelUrl, PANEL_KEY: secrets.panelKey, SERVER: JSON.stringify(fields) },
  })
  closeSync(log)
  const times = new Map<string, Times>()
  const ready = Promise.withResolvers<void>()
  chain.once('exit', (code) => { ready.reject(new Error(`the baseline ended with ${code}`)) })
  createInterface({ input: chain.stdout as Readable }).on('line', (line) => {
    const { ready: isReady, claim = '', ...step } = JSON.parse(line) as { ready?: true, claim?: string } & Times
    if (isReady) ready.resolve()
    else times.set(claim, { ...times.get(claim), ...step })
  })
  await ready.promise
  return {
    url: `http://127.0.0.1:${port}`, times,
    close: async () => {
      const ended = [once(chain, 'exit'), once(server, 'exit')]
      chain.kill('SIGKILL')
      server.kill('SIGKILL')
      await Promise.all(ended)
    },
  }
}

/** Milliseconds to 202, and from there to active without what the panel took, as `overheads` says of Klaim. */
async function ofBaseline (directory: string, acceptedCount: number, claims: number): Promise<{ accepted: number[], added: number[] }> {
  const port = await freePort()
  const panel = await timed(`http://127.0.0.1:${port}`)
  try {
    return await withSystem({ directory, members: 2_000 + claims + WARM_UP, ports: { panel: port }, env: { panel: QUICK_PANEL } }, async (system) => {
      const secrets = openDirectory(system.secretsDirectory)
      const chain = await startChain(join(directory, 'redis'), panel.url, { panelKey: secrets.text(secretOf('PANEL_KEY').file), internalSecret: secrets.text(secretOf('INTERNAL_SECRET').file), botUrl: system.botUrl })
      const visitors = visitorsOf({ gatewayUrls: [chain.url] })
      const allActive = async (claimIds: readonly string[]): Promise<void> => { await until('every claim of the baseline is active', () => claimIds.every((claim) => chain.times.get(claim)?.active !== undefined) ? true : undefined) }
      try {
        const warm: string[] = []
        await atRate(WARM_UP, 10, async (n) => { warm.push(await visitors.claim(n + 1)) })
        await allActive(warm)
        const members = new Map<string, { member: number, at: number }>()
        await atRate(claims, PER_MINUTE / 60, async (n) => { members.set(await visitors.claim(WARM_UP + n + 1), { member: WARM_UP + n + 1, at: Date.now() }) })
        await allActive([...members.keys()])
        const added = [...members].map(([claim, { member, at }]) => {
          const { made = NaN, active = NaN } = chain.times.get(claim) ?? {}
          return active - at - (panel.took.get(waJidOf(member)) ?? NaN) - (panel.took.get(claim) ?? NaN) - ((panel.installedAt.get(claim) ?? NaN) - made)
        })
        if (added.some(Number.isNaN)) throw new Error('the way of a claim through the baseline is not known')
        const accepted = await atRate(acceptedCount, PER_SECOND, async (n) => { await visitors.claim(WARM_UP + claims + n + 1) })
        return { accepted, added }
      } finally {
        await visitors.close()
        await chain.close()
      }
    })
  } finally {
    panel.close()
  }
}

async function acceptedByKlaim (directory: string, count: number): Promise<number[]> {
  return await withSystem({ directory, members: count + WARM_UP }, async (system) => {
    const visitors = visitorsOf(system)
    await atRate(WARM_UP, 10, async (n) => { await visitors.claim(count + n + 1) })
    const took = await atRate(count, PER_SECOND, async (n) => { await visitors.claim(n + 1) })
    await visitors.close()
    return took
  })
}

export const baseline: Bench = {
  name: 'baseline', summary: 'Klaim beside the same chain on BullMQ and Redis with fsync always', isSlow: true,
  run: async ({ directory, some }) => {
    const theirs = await ofBaseline(join(directory, 'baseline'), some(ACCEPTED), some(CLAIMS))
    const accepted = await acceptedByKlaim(join(directory, 'accepted'), some(ACCEPTED))
    const { added } = await overheads(join(directory, 'pipeline'), PER_MINUTE, some(CLAIMS))
    const beside = (what: string, unit: string, share: number, ours: readonly number[], others: readonly number[]) =>
      ({ what, unit, value: quantile(ours, share), floor: { what: 'BullMQ and Redis', value: quantile(others, share) } })
    return [
      beside('beside BullMQ: claim accepted at 200/s, p50', 'ms', 0.5, accepted, theirs.accepted),
      beside('beside BullMQ: claim accepted at 200/s, p99', 'ms', 0.99, accepted, theirs.accepted),
      beside('beside BullMQ: 202 to active at 600/min without the panel, p50', 'ms', 0.5, added, theirs.added),
      beside('beside BullMQ: 202 to active at 600/min without the panel, p95', 'ms', 0.95, added, theirs.added),
    ]
  },
}
