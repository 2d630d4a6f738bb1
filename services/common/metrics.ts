// The metrics that every service has, by Prometheus' conventions: base units, `_total` for what only grows, `_timestamp_seconds` for moments (as
// times and not as ages, so that what nobody sets any more does not stay young). No label ever holds a member or a claim.
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import klaim from '../../package.json' with { type: 'json' }

export type Metrics = ReturnType<typeof createMetrics>

/** Of prom-client's own (15.1.3), those that are named like counters and are none; the same numbers come by type under other names. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

export const MESSAGE_RESULTS = ['done', 'retried', 'handed_back', 'dead', 'replayed'] as const
export const REQUEST_RESULTS = ['answered', 'fault'] as const

/** Those of prom-client about the process and Node. */
export function addProcessMetrics (registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  for (const name of MISNAMED) registry.removeSingleMetric(name)
}

/** `commit`: what was built, where that is known. */
export function createMetrics (service: string, commit = '') {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  addProcessMetrics(registry)
  const registers = [registry]
  const build = new Gauge({ name: 'klaim_build_info', help: 'Always 1; the labels say what runs', labelNames: ['version', 'node', 'commit'] as const, registers })
  build.set({ version: klaim.version, node: process.versions.node, commit }, 1)
  const ofConsumer = (name: string, help: string) => new Gauge({ name, help, labelNames: ['stream', 'consumer'] as const, registers })
  return {
    registry,
    messages: new Counter({ name: 'klaim_messages_total', help: 'Messages handled, by consumer and what became of them', labelNames: ['consumer', 'result'] as const, registers }),
    handling: new Histogram({
      name: 'klaim_message_handling_seconds', help: 'Time a handler took', labelNames: ['consumer'] as const, registers,
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300],
    }),
    requests: new Counter({ name: 'klaim_requests_total', help: 'Questions answered over NATS, by name and result', labelNames: ['request', 'result'] as const, registers }),
    published: new Counter({ name: 'klaim_events_published_total', help: 'Events stored, by type', labelNames: ['type'] as const, registers }),
    clockSkew: new Gauge({ name: 'klaim_clock_skew_seconds', help: 'How far the clock of this service is ahead of that of NATS', registers }),
    connected: new Gauge({ name: 'klaim_nats_connected', help: '1 while connected to NATS', registers }),
    consumers: {
      pending: ofConsumer('klaim_consumer_pending', 'Messages that wait for their first delivery, at the last look'),
      ackPending: ofConsumer('klaim_consumer_ack_pending', 'Messages delivered and not done, at the last look'),
      redelivered: ofConsumer('klaim_consumer_redelivered', 'Of the messages delivered and not done, those delivered more than once, at the last look'),
      oldestAge: ofConsumer('klaim_consumer_oldest_age_seconds', 'How long the oldest message that is not done has waited, at least; 0 where none waits'),
    },
  }
}

/** Lets a counter begin at 0 for each of these label sets: rate() and increase() do not see the step from nothing to 1. */
export function fromZero<Label extends string> (counter: Counter<Label>, labels: ReadonlyArray<Record<Label, string>>): Counter<Label> {
  for (const each of labels) counter.inc(each, 0)
  return counter
}
