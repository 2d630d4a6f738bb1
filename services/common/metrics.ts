import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** The metrics that every service has. No label ever holds a member or a claim. */
export function createMetrics (service: string) {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    messages: new Counter({ name: 'klaim_messages_total', help: 'Messages handled, by consumer and what became of them', labelNames: ['consumer', 'result'] as const, registers }),
    handling: new Histogram({
      name: 'klaim_message_handling_seconds', help: 'Time a handler took', labelNames: ['consumer'] as const, registers,
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300],
    }),
    requests: new Counter({ name: 'klaim_requests_total', help: 'Questions answered over NATS, by name and result', labelNames: ['request', 'result'] as const, registers }),
    published: new Counter({ name: 'klaim_events_published_total', help: 'Events stored, by type', labelNames: ['type'] as const, registers }),
    connected: new Gauge({ name: 'klaim_nats_connected', help: '1 while connected to NATS', registers }),
  }
}
