import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export type ProvisionerMetrics = ReturnType<typeof createProvisionerMetrics>
export type PanelMetrics = ReturnType<typeof createPanelMetrics>

/** Of whoever calls the panel. `remaining` and `isUp` are asked at each scrape; null: not known. */
export function createPanelMetrics (registry: Registry, { remaining, isUp }: { remaining: () => number | null, isUp: () => boolean }) {
  const registers = [registry]
  return {
    calls: new Counter({ name: 'klaim_panel_calls_total', help: 'Calls to the panel, by what came back: an HTTP status, lost, or unreachable', labelNames: ['method', 'route', 'status'] as const, registers }),
    seconds: new Histogram({ name: 'klaim_panel_call_seconds', help: 'Time until the panel answered', labelNames: ['method', 'route'] as const, registers, buckets: [0.03, 0.1, 0.3, 1, 3, 10, 30, 60] }),
    limited: new Counter({ name: 'klaim_panel_rate_limited_total', help: 'Answers 429', registers }),
    left: new Gauge({ name: 'klaim_panel_budget_remaining', help: 'Calls left in this window of the panel; NaN: not known', registers, collect () { this.set(remaining() ?? Number.NaN) } }),
    up: new Gauge({ name: 'klaim_panel_up', help: '0 while the panel does not take our calls, or refuses our key', registers, collect () { this.set(isUp() ? 1 : 0) } }),
  }
}

/** `installs`: how many wait, asked at each scrape. */
export function createProvisionerMetrics (registry: Registry, { installs }: { installs: () => number }) {
  const registers = [registry]
  return {
    stepSeconds: new Histogram({
      name: 'klaim_provisioning_step_seconds', help: 'Time a step of a claim took, by what came of it: done, or a code', labelNames: ['step', 'result'] as const, registers,
      buckets: [0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 900],
    }),
    installsPending: new Gauge({ name: 'klaim_installs_pending', help: 'Claims waiting for their install', registers, collect () { this.set(installs()) } }),
    freeAllocations: new Gauge({ name: 'klaim_panel_free_allocations', help: 'Ports of a node that no server has, when the node was last read', labelNames: ['node'] as const, registers }),
    driftFindings: new Gauge({ name: 'klaim_drift_findings', help: 'Disagreements of ledger and panel at the last look, by kind', labelNames: ['kind'] as const, registers }),
    driftLook: new Gauge({ name: 'klaim_drift_look_timestamp_seconds', help: 'When ledger and panel were last compared; 0: not yet', registers }),
  }
}
