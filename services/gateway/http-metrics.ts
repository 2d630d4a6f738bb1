import type { FastifyInstance } from 'fastify'
import { Counter, Histogram } from 'prom-client'
import type { Log } from '../common/log.ts'
import { HTTP_CODES, WEBHOOK_CODES } from '../../contracts/codes.ts'
import { fromZero, type Metrics } from '../common/metrics.ts'

export type HttpMetrics = ReturnType<typeof createHttpMetrics>

const results = (names: readonly string[]): Array<{ result: string }> => names.map((result) => ({ result }))

export function createHttpMetrics ({ registry }: Pick<Metrics, 'registry'>) {
  const registers = [registry]
  return {
    latency: new Histogram({
      name: 'klaim_http_request_seconds', help: 'Time to answer a request, by route and status', labelNames: ['method', 'route', 'status'] as const, registers,
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    }),
    claims: fromZero(new Counter({ name: 'klaim_claim_attempts_total', help: 'Attempts to claim, by result: accepted, or the code of the refusal', labelNames: ['result'] as const, registers }), results(['accepted', ...Object.keys(HTTP_CODES)])),
    notices: fromZero(new Counter({ name: 'klaim_webhook_notices_total', help: 'Notices told by webhook, by result: accepted, duplicate (taken, and known already), or the code of the refusal', labelNames: ['result'] as const, registers }), results(['accepted', 'duplicate', ...Object.keys(WEBHOOK_CODES)])),
    limitCounts: fromZero(new Counter({ name: 'klaim_limit_counts_total', help: 'Counts for limits: shared with all gateways, or alone because NATS did not answer', labelNames: ['how'] as const, registers }), [{ how: 'shared' }, { how: 'alone' }]),
  }
}

/** What is so slow that the alert ApiSlow is about it. */
const SLOW_MS = 3_000

/** What claim-store refuses is its decision, and in its log. */
const DECIDED_BY_THE_LEDGER: ReadonlySet<string> = new Set(['ALREADY_CLAIMED', 'LEAVING'])

/** One log line and one measurement for each answer. Never an address as it was asked for, a number or a body: the route's pattern says enough. */
export function observeRequests (app: FastifyInstance, metrics: HttpMetrics, log: Log): void {
  app.decorateRequest('claimId', undefined)
  app.decorateRequest('memberId', undefined)
  app.decorateRequest('code', undefined)
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'none' : request.routeOptions.url ?? 'none'
    const { method, claimId, memberId, code } = request
    metrics.latency.observe({ method, route, status: reply.statusCode }, reply.elapsedTime / 1000)
    const decision = code === undefined || DECIDED_BY_THE_LEDGER.has(code) ? undefined : 'request.refused'
    const facts = { decision, request_id: request.id, method, route, status: reply.statusCode, duration_ms: Math.round(reply.elapsedTime), claim_id: claimId, member_id: memberId, code }
    // Looks at a status come every three seconds from every visitor; attempts to change something, and what took long, are what a person asks for later.
    if ((method === 'GET' || method === 'HEAD') && reply.elapsedTime < SLOW_MS) log.debug(facts, 'request answered')
    else log.info(facts, 'request answered')
  })
}
