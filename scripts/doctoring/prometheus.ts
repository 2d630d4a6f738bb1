// Whether somebody is told when something goes wrong: Prometheus reads every service, knows every rule of deploy/prometheus, and has an Alertmanager.
import { SERVICE_NAMES } from '../../contracts/services.ts'
import { defineCheck, no, ok, verdictOf, type Finding } from './check.ts'
import { jsonOf } from './http.ts'
import { textsIn } from './repository.ts'

/** Every service sets it. */
const METRIC = 'klaim_nats_connected'

export interface Target { readonly labels: Readonly<Record<string, string>>, readonly scrapeUrl: string, readonly health: string, readonly lastError: string }
export interface Rule { readonly name: string, readonly health: string, readonly state?: string }

export const prometheusTargets = defineCheck('prometheus-targets', ['PROMETHEUS_URL'], async ({ signal }, { PROMETHEUS_URL }) => {
  const { data: { activeTargets } } = await jsonOf(PROMETHEUS_URL, '/api/v1/targets?state=active', { signal }) as { data: { activeTargets: Target[] } }
  const { data: { result } } = await jsonOf(PROMETHEUS_URL, `/api/v1/query?query=${METRIC}`, { signal }) as { data: { result: Array<{ metric: Record<string, string> }> } }
  return judgeTargets(activeTargets, result.map(({ metric }) => metric['exported_service'] ?? metric['service'] ?? ''))
})

export function judgeTargets (targets: readonly Target[], scraped: readonly string[]): Finding {
  const missing = SERVICE_NAMES.filter((service) => !scraped.includes(service))
  return verdictOf([
    ...targets.filter(({ health }) => health !== 'up').map(({ scrapeUrl, health, lastError }) => `${scrapeUrl} is ${health}${lastError === '' ? '' : ` (${lastError.slice(0, 100)})`}`),
    ...(missing.length > 0 ? [`nothing is read of ${missing.join(', ')}`] : []),
  ], `all ${targets.length} targets are up, and all ${SERVICE_NAMES.length} services are read`, 'deploy/prometheus; is the HEALTH_PORT of each service among the targets')
}

export const prometheusRules = defineCheck('prometheus-rules', ['PROMETHEUS_URL'], async ({ signal }, { PROMETHEUS_URL }) => {
  const { data: { groups } } = await jsonOf(PROMETHEUS_URL, '/api/v1/rules', { signal }) as { data: { groups: Array<{ rules: Rule[] }> } }
  return judgeRules(groups.flatMap(({ rules }) => rules), expectedRules())
})

/** Fires always, so that somebody outside sees when nothing fires any more (deploy/prometheus/rules). */
const WATCHDOG = 'Watchdog'

export function judgeRules (loaded: readonly Rule[], expected: readonly string[]): Finding {
  const missing = expected.filter((name) => !loaded.some((rule) => rule.name === name))
  const firing = [...new Set(loaded.filter(({ name, state }) => state === 'firing' && name !== WATCHDOG).map(({ name }) => name))]
  return verdictOf([
    ...(missing.length > 0 ? [`not loaded: ${missing.join(', ')}`] : []),
    ...(loaded.length === 0 && missing.length === 0 ? ['no rule is loaded'] : []),
    ...loaded.filter(({ health }) => health === 'err').map(({ name }) => `${name} cannot be evaluated`),
  ], `${loaded.length === 1 ? 'one rule is' : `${loaded.length} rules are`} loaded`, 'rule_files of Prometheus name deploy/prometheus/rules; reload it', firing.length > 0 ? [`firing now: ${firing.join(', ')}`] : [])
}

/** Names of alerts and of recorded series. */
export const rulesIn = (text: string): string[] => [...text.matchAll(/^\s*(?:- )?(?:alert|record): *["']?([\w:]+)["']?\s*$/gm)].map(([, name = '']) => name)

const expectedRules = (): string[] => [...new Set(textsIn('deploy/prometheus/rules', /\.ya?ml$/).flatMap(rulesIn))]

export const prometheusAlertmanager = defineCheck('prometheus-alertmanager', ['PROMETHEUS_URL', 'ALERTMANAGER_URL'], async ({ signal }, { PROMETHEUS_URL, ALERTMANAGER_URL }) => {
  const { data: { activeAlertmanagers } } = await jsonOf(PROMETHEUS_URL, '/api/v1/alertmanagers', { signal }) as { data: { activeAlertmanagers: unknown[] } }
  const { cluster, config } = await jsonOf(ALERTMANAGER_URL, '/api/v2/status', { signal }) as { cluster: { status: string }, config: { original: string } }
  return judgeAlertmanager(activeAlertmanagers.length, cluster.status, config.original)
})

/** A receiver without a way to reach anybody swallows every alert. */
const WAY = /^\s*(?:- )?\w+_configs:/m

export function judgeAlertmanager (known: number, status: string, config: string): Finding {
  if (known === 0) return no('Prometheus knows no Alertmanager', 'alerting.alertmanagers in the configuration of Prometheus')
  if (status !== 'ready' && status !== 'disabled') return no(`Alertmanager is ${status}`, 'its log')
  return WAY.test(config) ? ok('Prometheus tells it, and it tells somebody') : no('no receiver of Alertmanager reaches anybody', 'receivers in the configuration of Alertmanager')
}
