// The claim page may live on another origin. Only origins that the configuration names may read what the API answers.
import cors from '@fastify/cors'
import type { App } from './gateway.ts'

const PREFLIGHT_REMEMBERED_S = 7_200

/** Call before there are routes: a preflight has one of its own, and those that are no API are told to take no part. */
export async function allowOrigins (app: App, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return
  await app.register(cors, {
    // Decided for each request, so that whoever is not named is answered like a stranger to CORS.
    origin: (origin, decide) => { decide(null, origin !== undefined && origins.includes(origin) ? origin : false) },
    methods: ['GET', 'POST'],
    allowedHeaders: ['Content-Type', 'Accept-Language', 'Idempotency-Key', 'If-None-Match'],
    exposedHeaders: ['ETag', 'Retry-After', 'Date', 'Location'],
    maxAge: PREFLIGHT_REMEMBERED_S,
    // An OPTIONS that is no preflight is answered all the same; the plugin's own refusal has another shape than our errors.
    strictPreflight: false,
  })
  app.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/api/')) route.config = { ...route.config, cors: false }
  })
}
