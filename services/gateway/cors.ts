// The claim page may live on another origin. Only origins that the configuration names may read what the API answers.
import type { App } from './gateway.ts'

const PREFLIGHT_REMEMBERED_S = 7_200

export function allowOrigins (app: App, origins: readonly string[]): void {
  if (origins.length === 0) return
  app.addHook('onRequest', async (request, reply) => {
    if (!request.url.startsWith('/api/')) return undefined
    // A cache must not hand the answer for one origin to another.
    reply.header('vary', 'Accept-Language, Origin')
    const { origin, 'access-control-request-method': asked } = request.headers
    if (origin === undefined || !origins.includes(origin)) return undefined
    reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': 'ETag, Retry-After, Date, Location' })
    if (request.method !== 'OPTIONS' || asked === undefined) return undefined
    return await reply.code(204).headers({
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'Content-Type, Accept-Language, Idempotency-Key, If-None-Match',
      'access-control-max-age': PREFLIGHT_REMEMBERED_S,
    }).send()
  })
}
