// docs/metrics.md: every metric of every service, as the services themselves define them.
import { Registry } from 'prom-client'
import { createBotMetrics, NO_BOT } from '../services/bot/metrics.ts'
import { createClaimStoreMetrics } from '../services/claim-store/metrics.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { createHttpMetrics } from '../services/gateway/http-metrics.ts'
import { createPanelMetrics, createProvisionerMetrics } from '../services/provisioner/metrics.ts'
import { createReaperMetrics } from '../services/reaper/metrics.ts'
import { createBackupMetrics } from './backups/metrics.ts'
import { createCanaryMetrics } from './canary/metrics.ts'

interface Documented { readonly name: string, readonly help: string, readonly type: string, readonly labelNames: readonly string[] }

const SOURCES: ReadonlyArray<readonly [service: string, create: (registry: Registry) => void]> = [
  ['gateway', (registry) => { createHttpMetrics({ registry }) }],
  ['claim-store', (registry) => { createClaimStoreMetrics(registry, { views: () => [], now: () => 0 }) }],
  ['provisioner', (registry) => {
    createPanelMetrics(registry, { remaining: () => null, isUp: () => true })
    createProvisionerMetrics(registry, { installs: () => 0 })
  }],
  ['reaper', (registry) => { createReaperMetrics(registry) }],
  ['bot', (registry) => { createBotMetrics({ registry }, NO_BOT) }],
]

/** By the name, as Prometheus has it. */
export function unitOf (name: string): string {
  if (name.endsWith('_timestamp_seconds')) return 'Unix time, s'
  if (name.endsWith('_seconds')) return 's'
  return name.endsWith('_bytes') ? 'bytes' : ''
}

function inOrder (registry: Registry): Documented[] {
  // What prom-client says of Node itself is described there. Each metric has its type and its labels, which the library's type does not know of (15.1.3).
  const all = registry.getMetricsAsArray() as unknown as Documented[]
  return all.filter(({ name }) => name.startsWith('klaim_')).toSorted((one, two) => one.name < two.name ? -1 : 1)
}

/** Every metric by the service that has it; '' for those of all. */
export function allMetrics (): ReadonlyArray<Documented & { readonly service: string }> {
  const of = (service: string, registry: Registry) => inOrder(registry).map((metric) => ({ ...pick(metric), service }))
  const canary = new Registry()
  createCanaryMetrics(canary, { everyMs: 0 })
  return [
    ...of('all', createMetrics('all').registry),
    ...SOURCES.flatMap(([service, create]) => {
      const registry = new Registry()
      create(registry)
      return of(service, registry)
    }),
    ...of('scripts/backup', createBackupMetrics('')),
    ...of('scripts/klaim canary', canary),
  ]
}

const pick = ({ name, help, type, labelNames }: Documented): Documented => ({ name, help, type, labelNames })
const cell = (text: string): string => text.replaceAll('|', '\\|')

export function metricsDocument (): string {
  const rows = allMetrics().map(({ name, type, labelNames, service, help }) =>
    `| \`${name}\` | ${type} | ${unitOf(name)} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${service} | ${cell(help)} |`)
  return `<!-- Written by scripts/docs from the services' own definitions. -->
# Metrics

Each service has them on its internal port (\`HEALTH_HOST\`, \`HEALTH_PORT\`), at \`/metrics\`; \`scripts/backup\` writes its own to \`BACKUP_METRICS_FILE\`, for
node_exporter, and \`scripts/klaim canary --every\` has its own on its HEALTH_PORT. [deploy/prometheus/prometheus.yml](../deploy/prometheus/prometheus.yml) reads them all. Those of every service carry the label \`service\`. No label holds a member, a claim or a number. Beside
them stand those of prom-client about the process (\`process_…\`, \`nodejs_…\`).

Moments are Unix times and not ages, so that what nobody sets any more does not stay young: \`time() - klaim_roster_seen_timestamp_seconds\`. A counter stands at 0
from the start for every value of its label that is known then. What is seen "at the last look" keeps its value while it cannot be looked at.
Several processes of one service count for themselves what they do (add them up), and see the same world (take the \`max\`): a bot that stands by has no roster, and says 0.

| name | type | unit | labels | service | what it is |
|---|---|---|---|---|---|
${rows.join('\n')}
`
}
