// A Prometheus as deploy/prometheus has it, with the addresses of a running system, and a node_exporter beside it.
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hurried } from '../../deploy/prometheus/test/hurry.ts'
import { startProgram, type Program } from '../../deploy/prometheus/test/program.ts'
import { freePort } from '../../deploy/staging/nats/nats-server.ts'
import type { Service, System } from '../../deploy/staging/system.ts'
import { NUMBERED } from './operator.ts'

const ROOT = resolve(import.meta.dirname, '../..')
export const SCRAPE_S = 1

export interface Series { readonly labels: Readonly<Record<string, string>>, /** Oldest first, those that are numbers. */ readonly values: readonly number[] }
/** Seconds since 1970. */
export interface Span { readonly start: number, readonly end: number, readonly step: number }

export interface ActiveAlert { readonly state: 'pending' | 'firing', readonly labels: Readonly<Record<string, string>>, readonly annotations: Readonly<Record<string, string>> }

export interface Prometheus {
  readonly url: string
  readonly nodeExporterUrl: string
  /** A copy of deploy/prometheus that this one reads. */
  readonly configuration: string
  /** Where node_exporter looks for the metrics of others (BACKUP_METRICS_FILE). */
  readonly textfiles: string
  /** What a query answers now. Rejects where it is no PromQL. */
  now (query: string): Promise<Series[]>
  /** … and what it answers over time. */
  over (query: string, span: Span): Promise<Series[]>
  /** How many series of this name with these labels were there since then. */
  count (selector: string, since: number): Promise<number>
  /** Values of a label of the series of a selector. */
  valuesOf (selector: string, label: string): Promise<string[]>
  /** Those that fire, and those that may. */
  alerts (): Promise<ActiveAlert[]>
  /** Where the canary is, as RUNBOOK.md has it written down; without an address there is none. */
  watchCanary (address?: string): void
  /** Takes over what was changed in its configuration. */
  reload (): Promise<void>
  kill (): Promise<void>
  /** … and starts it again, with what it knew. */
  start (): Promise<void>
  close (): Promise<void>
}

export interface PrometheusOptions {
  /** Text of one more file of rules. */
  readonly rules?: string
  /** Those of the repository wait so many times less. */
  readonly factor?: number
  /** host:port. */
  readonly alertmanager?: string
}

export async function startPrometheus (system: System, directory: string, { rules, factor = 1, alertmanager }: PrometheusOptions): Promise<Prometheus> {
  const at = (...parts: string[]): string => join(directory, ...parts)
  const port = { prometheus: await freePort(), node: await freePort() }
  const addressesOf = (service: Service): string[] => [service, `${service}-2` as const].map((name) => new URL(system.healthUrl(name))).filter((each) => each.port !== '0').map(({ host }) => host)
  cpSync(join(ROOT, 'deploy/prometheus'), at('config'), { recursive: true })
  mkdirSync(at('config', 'rules'), { recursive: true })
  mkdirSync(at('textfiles'))
  const rewrite = (file: string, change: (text: string) => string): void => { writeFileSync(at('config', file), change(readFileSync(at('config', file), 'utf8'))) }
  rewrite('prometheus.yml', (text) => text.replaceAll(/((?:scrape_interval|scrape_timeout|evaluation_interval):) \S+/g, `$1 ${SCRAPE_S}s`))
  rewrite('targets/klaim.yml', (text) => text.replace(/127\.0\.0\.1:920([1-6])/g, (_, nth: string) => addressesOf(NUMBERED[Number(nth) - 1] as Service).join(', ')))
  for (const file of readdirSync(at('config', 'rules'))) rewrite(join('rules', file), (text) => hurried(text, factor))
  if (alertmanager !== undefined) rewrite('targets/alertmanager.yml', (text) => text.replace('127.0.0.1:9093', alertmanager))
  rewrite('targets/node.yml', (text) => text.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port.node}`))
  if (rules !== undefined) writeFileSync(at('config', 'rules', 'of-the-test.yml'), rules)

  const url = `http://127.0.0.1:${port.prometheus}`
  // It says again every minute what it said before, and an Alertmanager that was started with it has not heard the first time.
  const flags = [`--config.file=${at('config', 'prometheus.yml')}`, `--storage.tsdb.path=${at('data')}`, `--web.listen-address=127.0.0.1:${port.prometheus}`, '--web.enable-lifecycle', '--rules.alert.resend-delay=1s']
  const launch = async (): Promise<Program> => await startProgram('PROMETHEUS', flags, `${url}/-/ready`)
  const started = await Promise.allSettled([
    launch(),
    startProgram('NODE_EXPORTER', [`--web.listen-address=127.0.0.1:${port.node}`, `--collector.textfile.directory=${at('textfiles')}`], `http://127.0.0.1:${port.node}/`),
  ])
  const close = async (): Promise<void> => { await Promise.all(started.map(async (each) => { if (each.status === 'fulfilled') await each.value.stop() })) }
  for (const each of started) {
    if (each.status === 'fulfilled') continue
    await close()
    throw each.reason
  }

  async function ask<Data> (path: string, parameters: Record<string, string>): Promise<Data> {
    const answer = await fetch(`http://127.0.0.1:${port.prometheus}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`, { signal: AbortSignal.timeout(20_000) })
    const { data, error } = await answer.json() as { data: Data, error?: string }
    if (error !== undefined) throw new Error(error)
    return data
  }
  const isNumber = (value: number): boolean => !Number.isNaN(value)
  let restarted: Program | undefined
  const kill = async (): Promise<void> => {
    if (started[0]?.status === 'fulfilled') await started[0].value.stop()
    await restarted?.stop()
  }

  return {
    url, nodeExporterUrl: `http://127.0.0.1:${port.node}`, configuration: at('config'),
    alerts: async () => (await ask<{ alerts: ActiveAlert[] }>('alerts', {})).alerts,
    // Replaced whole, because it is read at any time.
    watchCanary: (address) => {
      writeFileSync(at('config', 'canary.yml'), address === undefined ? '[]\n' : `- targets: [${address}]\n`)
      renameSync(at('config', 'canary.yml'), at('config', 'targets', 'canary.yml'))
    },
    reload: async () => {
      const answer = await fetch(`${url}/-/reload`, { method: 'POST' })
      if (!answer.ok) throw new Error(await answer.text())
    },
    kill,
    start: async () => { restarted = await launch() },
    textfiles: at('textfiles'),
    now: async (query) => {
      const { result } = await ask<{ result: Array<{ metric: Record<string, string>, value: [number, string] }> }>('query', { query })
      return result.map(({ metric, value }) => ({ labels: metric, values: [Number(value[1])].filter(isNumber) }))
    },
    over: async (query, { start, end, step }) => {
      const { result } = await ask<{ result: Array<{ metric: Record<string, string>, values: Array<[number, string]> }> }>('query_range', { query, start: String(start), end: String(end), step: String(step) })
      return result.map(({ metric, values }) => ({ labels: metric, values: values.map(([, value]) => Number(value)).filter(isNumber) }))
    },
    count: async (selector, since) => (await ask<unknown[]>('series', { 'match[]': selector, start: String(since) })).length,
    valuesOf: async (selector, label) => await ask<string[]>(`label/${label}/values`, { 'match[]': selector }),
    close: async () => {
      await kill()
      await close()
    },
  }
}
