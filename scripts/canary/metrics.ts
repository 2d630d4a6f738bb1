// How the canary fares, in Prometheus' text.
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { CANARY_CODES } from '../../contracts/codes.ts'
import { LEAD_BUCKETS } from '../../services/common/lead.ts'
import { addProcessMetrics, fromZero } from '../../services/common/metrics.ts'

/** `ok`, why it was held back, or a code: of the canary, or of a fault of whoever did not answer. */
export const RESULTS = ['ok', 'CLAIMS_CLOSED', 'BRAKE_ON', ...CANARY_CODES] as const

export function createCanaryMetrics (registry: Registry, { everyMs }: { everyMs: number }) {
  const registers = [registry]
  const every = new Gauge({ name: 'klaim_canary_every_seconds', help: 'From the beginning of a run of the canary to that of the next', registers })
  every.set(everyMs / 1_000)
  return {
    runs: fromZero(new Counter({ name: 'klaim_canary_runs_total', help: 'Runs of the canary, by result: ok, CLAIMS_CLOSED or BRAKE_ON where it was held back on purpose, or the code of what failed', labelNames: ['result'] as const, registers }), RESULTS.map((result) => ({ result }))),
    lastSuccess: new Gauge({ name: 'klaim_canary_last_success_timestamp_seconds', help: 'When a run of the canary last came through; 0: not since it was started', registers }),
    lastFailure: new Gauge({ name: 'klaim_canary_last_failure_timestamp_seconds', help: 'When a run of the canary last failed with this code; none since it was started where a code is not there', labelNames: ['result'] as const, registers }),
    lastHeld: new Gauge({ name: 'klaim_canary_last_held_timestamp_seconds', help: 'When a run of the canary was last held back on purpose, by closed claims or the brake; 0: not since it was started', registers }),
    claim: new Histogram({ name: 'klaim_canary_claim_seconds', help: "Time from the canary's form to its login", buckets: [...LEAD_BUCKETS], registers }),
  }
}
export type CanaryMetrics = ReturnType<typeof createCanaryMetrics>

/** With those of the process: since when it runs. */
export function createCanaryRegistry (everyMs: number): { registry: Registry, metrics: CanaryMetrics } {
  const registry = new Registry()
  addProcessMetrics(registry)
  return { registry, metrics: createCanaryMetrics(registry, { everyMs }) }
}
