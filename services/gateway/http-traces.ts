// Each attempt to change something begins a trace. A `traceparent` that a visitor sends is not taken: it would let anybody put spans into a trace of ours.
import { begun, during, failed, SpanKind, type Span } from '../common/tracing.ts'
import type { App } from './gateway.ts'

declare module 'fastify' {
  interface FastifyRequest {
    span: Span | undefined
  }
}

export function traceRequests (app: App): void {
  app.decorateRequest('span', undefined)
  app.addHook('onRequest', async (request) => {
    const { method, is404, routeOptions: { url } } = request
    // Looks at a status come every three seconds from every visitor.
    if (method === 'GET' || method === 'HEAD' || is404 || url === undefined) return
    request.span = begun(`${method} ${url}`, { kind: SpanKind.SERVER, attributes: { 'http.request.method': method, 'http.route': url } })
  })
  // The last hook before the route itself: what comes before may lose the context, as reading a body does.
  app.addHook('preHandler', (request, _reply, done) => { if (request.span) during(request.span, done); else done() })
  app.addHook('onResponse', async ({ span, claimId, memberId, code }, { statusCode }) => {
    if (!span) return
    span.setAttributes({ 'http.response.status_code': statusCode, ...(claimId !== undefined && { 'klaim.claim_id': claimId }), ...(memberId !== undefined && { 'klaim.member_id': memberId }), ...(code !== undefined && { 'klaim.code': code }) })
    if (statusCode >= 500) failed(span, code ?? String(statusCode))
    span.end()
  })
}
