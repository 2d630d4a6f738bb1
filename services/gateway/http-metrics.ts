import type { FastifyInstance } from 'fastify'
import { Counter, Histogram } from 'prom-client'
import type { Log } from '../common/log.ts'
import type { Metrics } from '../common/metrics.ts'

export type HttpMetrics = ReturnType<typeof createHttpMetrics>

export function createHttpMetrics ({ registry }: Metrics) {
  const registers = [registry]
  return {
    latency: new Histogram({
      name: 'klaim_http_request_seconds', help: 'Time to answer a request, by route and status', labelNames: ['method', 'route', 'status'] as const, registers,
      buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    }),
    claims: new Counter({ name: 'klaim_claim_attempts_total', help: 'Attempts to claim, by result: accepted, or the code of the refusal', labelNames: ['result'] as const, registers }),
    notices: new Counter({ name: 'klaim_webhook_notices_total', help: 'Notices told by webhook, by result: accepted, duplicate (taken, and known already), or the code of the refusal', labelNames: ['result'] as const, registers }),
    limitCounts: new Counter({ name: 'klaim_limit_counts_total', help: 'Counts for limits: shared with all gateways, or alone because NATS did not answer', labelNames: ['how'] as const, registers }),
  }
}

/** One log line and one measurement for each answer. Never an address as it was asked for, a number or a body: the route's pattern says enough. */
export function observeRequests (app: FastifyInstance, metrics: HttpMetrics, log: Log): void {
  app.decorateRequest('claimId', undefined)
  app.decorateRequest('code', undefined)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'none' : request.routeOptions.url ?? 'none'
    const { method, claimId, code } = request
    metrics.latency.observe({ method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
    const facts = { requestId: request.id, method, route, status: reply.statusCode, durationMs: Math.round(reply.elapsedTime), claimId, code }
    // Looks at a status come every three seconds from every visitor; attempts to change something are what a person asks for later.
    if (method === 'GET' || method === 'HEAD') log.debug(facts, 'request answered')
    else log.info(facts, 'request answered')
  })
}
