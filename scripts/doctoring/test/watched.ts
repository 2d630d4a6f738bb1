// A whole system with what watches over it: Prometheus itself, and an Alertmanager and a Grafana that say what those say.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { startProgram } from '../../../deploy/prometheus/test/program.ts'
import { freePort } from '../../../deploy/staging/nats/nats-server.ts'
import { SERVICES, startSystem, type System } from '../../../deploy/staging/system.ts'
import { until } from '../../../services/test/journey.ts'
import { loadConfig } from '../../../services/common/config.ts'
import { scratch } from '../../../services/common/test/scratch.ts'
import { CHECKS } from '../checks.ts'
import { examine, type Result } from '../examine.ts'
import { Settings } from '../settings.ts'
import { openWorld } from '../world.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const RULES = join(ROOT, 'deploy/prometheus/rules')

type Changed = Readonly<Record<string, string | undefined>>
export interface Visit {
  readonly names: readonly string[]
  readonly remarks: readonly string[]
  /** What is not well, by name. */
  readonly bad: readonly string[]
  readonly finding: (name: string) => string
}

export interface Watched {
  readonly system: System
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  /** What they say; it may be changed. */
  readonly grafana: { database: string, uids: string[] }
  readonly alertmanager: { config: string }
  /** Looks at everything on the list, with this changed in the environment; undefined takes a variable away. */
  readonly visit: (changed?: Changed, now?: () => Date) => Promise<Visit>
  /** A copy of the secrets, in which a file may be another. */
  readonly secretsWith: (changed: Record<string, string>) => string
  /** A script as an operator runs it. */
  readonly run: (script: string, args?: readonly string[], changed?: Changed) => Promise<{ readonly code: number, readonly said: string }>
}

export async function startWatched (t: Test): Promise<Watched> {
  const directory = scratch(t)
  const at = (...parts: string[]): string => join(directory, ...parts)
  const system = await startSystem({
    directory, graceMs: 3_600_000, members: 3,
    env: {
      panel: { PANEL_DOUBLE_INSTALL_DELAY_MS: '300', PANEL_DOUBLE_START_DELAY_MS: '100', PANEL_DOUBLE_LATENCY_MS: '5', PANEL_DOUBLE_RATE_LIMIT: '5000' },
      provisioner: { INSTALL_POLL_EVERY_MS: '200', PROBE_EVERY_MS: '100' }, bot: { SEND_GAP_MS: '20', ROSTER_DEBOUNCE_MS: '50', ROSTER_GAP_MS: '100', ROSTER_EVERY_MS: '2000' },
    },
  })
  t.teardown(() => system.close())
  const grafana = { database: 'ok', uids: dashboards() }
  const alertmanager = { config: 'route:\n  receiver: on-call\nreceivers:\n- name: on-call\n  webhook_configs:\n  - url: <secret>\n' }
  const alertmanagerUrl = await startAlertmanager(t, alertmanager)
  const secret = (file: string): string => join(system.secretsDirectory, file)
  mkdirSync(at('backups'), { mode: 0o700 })
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', NATS_SERVER: process.env['NATS_SERVER'] ?? '', LEDGER_KEYS_FILE: secret('ledger_keys'),
    NATS_URL: system.nats.url, NATS_NKEY_SEED_FILE: secret('nats_operator.nk'), SECRETS_DIRECTORY: system.secretsDirectory, PANEL_URL: system.panelUrl, TEMPLATES_FILE: at('config', 'templates.json'),
    BOT_URL: system.botUrl, GATEWAY_URL: system.gatewayUrls[0] ?? '', HEALTH_URLS: SERVICES.map((service) => system.healthUrl(service)).join(','),
    PROMETHEUS_URL: await startPrometheus(t, directory, system, alertmanagerUrl), ALERTMANAGER_URL: alertmanagerUrl, GRAFANA_URL: await startGrafana(t, grafana),
    BOOK_FILE: at('book', 'claims.json'), BACKUP_DIRECTORY: at('backups'), BACKUP_METRICS_FILE: at('backup.prom'), NATS_STORE_DIRECTORY: at('nats'),
  }

  async function run (script: string, args: readonly string[] = [], changed: Changed = {}): Promise<{ code: number, said: string }> {
    const child = spawn(process.execPath, [join(ROOT, script), ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...env, ...changed } })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { said += chunk })
    const [code] = await once(child, 'close') as [number]
    return { code, said }
  }

  let copies = 0
  return {
    system, directory, env, grafana, alertmanager, run,
    visit: async (changed = {}, now = () => new Date()) => {
      const opened = openWorld(loadConfig(Settings, { ...env, ...changed }), now)
      try {
        const results: Result[] = []
        for await (const result of examine(CHECKS, opened.world, new Set())) results.push(result)
        return {
          names: results.map(({ check: { name } }) => name), remarks: results.flatMap(({ finding: { remarks } }) => remarks),
          bad: results.filter(({ finding: { verdict } }) => verdict !== 'ok').map(({ check: { name } }) => name),
          finding: (name) => results.find(({ check }) => check.name === name)?.finding.text ?? '',
        }
      } finally {
        await opened.close()
      }
    },
    secretsWith: (changed) => {
      const copy = at(`secrets-${++copies}`)
      cpSync(system.secretsDirectory, copy, { recursive: true })
      chmodSync(copy, 0o700)
      for (const [file, text] of Object.entries(changed)) writeFileSync(join(copy, file), text, { mode: 0o600 })
      return copy
    },
  }
}

const dashboards = (): string[] => globSync('deploy/grafana/dashboards/*.json', { cwd: ROOT }).map((file) => (JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as { uid: string }).uid)

/** Waits until Prometheus has read every service. */
async function startPrometheus (t: Test, directory: string, system: System, alertmanagerUrl: string): Promise<string> {
  const at = (...parts: string[]): string => join(directory, 'prometheus', ...parts)
  mkdirSync(at(), { recursive: true })
  const targets = SERVICES.map((service) => new URL(system.healthUrl(service)).host)
  writeFileSync(at('prometheus.yml'), JSON.stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s' }, rule_files: [join(RULES, '*.yml'), at('own.yml')],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanagerUrl).host] }] }] },
    scrape_configs: [{ job_name: 'klaim', static_configs: [{ targets }] }],
  }))
  writeFileSync(at('own.yml'), JSON.stringify({ groups: [{ name: 'own', rules: [{ record: 'klaim:services', expr: 'count(klaim_nats_connected)' }] }] }))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { stop } = await startProgram('PROMETHEUS', [`--config.file=${at('prometheus.yml')}`, `--storage.tsdb.path=${at('tsdb')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], `${url}/-/ready`)
  t.teardown(stop)
  await until('Prometheus reads every service', async () => {
    const { data } = await (await fetch(`${url}/api/v1/query?query=klaim:services`)).json() as { data: { result: Array<{ value: [number, string] }> } }
    return data.result[0]?.value[1] === String(SERVICES.length) || undefined
  })
  return url
}

/** Of Grafana's HTTP API and of Alertmanager's the answers that are read, with the fields that they have there. */
async function answering (t: Test, answers: Readonly<Record<string, () => unknown>>): Promise<string> {
  const server = createServer((request, response) => {
    const answer = answers[new URL(request.url ?? '/', 'http://here').pathname]
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer?.() ?? { message: 'Not found' }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** One that has the dashboards of this repository, unless something else is given. */
export const startGrafana = async (t: Test, grafana: Watched['grafana'] = { database: 'ok', uids: dashboards() }): Promise<string> => await answering(t, {
  '/api/health': () => ({ commit: '3d1bcfbf2a', database: grafana.database, version: '12.3.1' }),
  '/api/search': () => grafana.uids.map((uid, n) => ({ id: n + 1, uid, title: uid, uri: `db/${uid}`, url: `/d/${uid}/${uid}`, slug: '', type: 'dash-db', tags: [], isStarred: false, sortMeta: 0 })),
})

const startAlertmanager = async (t: Test, alertmanager: Watched['alertmanager']): Promise<string> => await answering(t, {
  '/api/v2/status': () => ({
    cluster: { status: 'disabled', peers: [] }, uptime: '2026-11-24T20:21:05.404Z', config: { original: alertmanager.config },
    versionInfo: { branch: 'HEAD', buildDate: '20230523-12:00:00', buildUser: 'team+pkg-go@tracker.debian.org', goVersion: 'go1.19.8', revision: '0.25.0-1+b2', version: '0.25.0' },
  }),
  '/api/v2/alerts': () => [],
})
