// What every answer tells the browser not to do. The exported page brings a policy of its own (site.ts), with the hashes of its scripts.
import helmet from '@fastify/helmet'
import type { App } from './gateway.ts'

const POLICY = { 'default-src': ["'none'"], 'style-src': ["'self'"], 'form-action': ["'self'"], 'base-uri': ["'none'"], 'frame-ancestors': ["'none'"] }

/** Helmet's other headers as they come: HSTS (which browsers heed behind TLS only), no sniffing, no referrer, no embedding elsewhere. */
export async function sendSecurityHeaders (app: App): Promise<void> {
  await app.register(helmet, { contentSecurityPolicy: { useDefaults: false, directives: POLICY }, frameguard: { action: 'deny' } })
}

/** For what is answered before any hook could run. */
export const BARE_HEADERS = {
  'content-security-policy': Object.entries(POLICY).map(([name, sources]) => `${name} ${sources.join(' ')}`).join(';'),
  'x-content-type-options': 'nosniff',
} as const
