import Fastify, { LogController, type FastifyBaseLogger } from 'fastify'
import formbody from '@fastify/formbody'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { randomUUID } from 'node:crypto'
import type { Bus } from '../common/bus.ts'
import type { Log } from '../common/log.ts'
import type { Membership } from '../common/membership.ts'
import type { Metrics } from '../common/metrics.ts'
import type { Messages } from '../common/phrases.ts'
import type { Templates } from '../common/templates.ts'
import { createClaiming } from './claiming.ts'
import type { Config } from './config.ts'
import { allowOrigins } from './cors.ts'
import { answerBrokenRequest, createTelling, refuseOtherMethods } from './errors.ts'
import type { App, Gateway } from './gateway.ts'
import { createHttpMetrics, observeRequests } from './http-metrics.ts'
import { createLimits } from './limits.ts'
import { Refusal } from './refusal.ts'
import { claimPage } from './routes/claim-page.ts'
import { claimStatus } from './routes/claim-status.ts'
import { createClaim } from './routes/create-claim.ts'
import { formPage } from './routes/form-page.ts'
import { health } from './routes/health.ts'
import { listTemplates } from './routes/list-templates.ts'
import { openApi } from './routes/open-api.ts'
import { siteFiles } from './routes/site-files.ts'
import { stylesheet } from './routes/stylesheet.ts'
import { whatsappWebhook } from './routes/whatsapp-webhook.ts'
import type { Site } from './site.ts'
import type { Webhook } from './webhook.ts'

export interface AppOptions {
  readonly config: Pick<Config, 'TRUST_PROXY' | 'GROUP_INVITE_URL' | 'BOT_NUMBER' | 'RATE_LIMIT_IP_PER_MINUTE' | 'RATE_LIMIT_JID_PER_MINUTE' | 'RATE_LIMIT_STATUS_PER_MINUTE' | 'PANEL_PUBLIC_URL' | 'CORS_ORIGIN'>
  readonly bus: Pick<Bus, 'request' | 'isConnected'>
  readonly membership: Pick<Membership, 'check'>
  readonly messages: Messages
  readonly templates: Templates
  readonly site?: Site | undefined
  /** Absent: its address is not found. */
  readonly webhook?: Webhook | undefined
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
}

const KIB = 1024
const BODY_BYTES_MAX = 16 * KIB
const HEADER_BYTES_MAX = 16 * KIB
const URL_PART_LENGTH_MAX = 100
/** From the first byte of a request to its last. */
const REQUEST_TIMEOUT_MS = 10_000
const IDLE_TIMEOUT_MS = 30_000

const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
} as const

/** The whole gateway but its port; tests talk to it by `inject`. */
export async function createApp (options: AppOptions): Promise<App> {
  const { config, bus, membership, messages, templates, log, now } = options
  const trusted = (config.TRUST_PROXY ?? '').split(',').map((address) => address.trim()).filter(Boolean)
  const tell = createTelling({ messages, inviteUrl: config.GROUP_INVITE_URL, log })
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // One line for each answer is written by http-metrics.ts, without what was asked.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: IDLE_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    maxRequestsPerSocket: 1_000,
    http: { headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: HEADER_BYTES_MAX },
    routerOptions: { maxParamLength: URL_PART_LENGTH_MAX },
    // Only the listed proxies may say for whom they speak; a header from anyone else changes nothing.
    trustProxy: trusted.length === 0 ? false : trusted,
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => { void tell(request, reply, error) },
    clientErrorHandler: answerBrokenRequest(messages),
    // Nothing is guessed: what does not fit the schema is refused, never coerced or dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>() as App

  const routes = new Map<string, { methods: string[], page: boolean }>()
  app.addHook('onRoute', ({ url, method, config }) => {
    const known = routes.get(url) ?? { methods: [], page: config?.page === true }
    routes.set(url, { ...known, methods: [...new Set([...known.methods, ...[method].flat()])] })
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id).header('vary', 'Accept-Language')
    // Before the body is read: what it holds does not matter where nobody takes it.
    if (request.is404) throw new Refusal('NOT_FOUND')
  })
  allowOrigins(app, (config.CORS_ORIGIN ?? '').split(',').map((origin) => origin.trim()).filter(Boolean))

  // External plugins first, then what the routes share, then the routes, then what needs to know all of them.
  await app.register(formbody, { bodyLimit: BODY_BYTES_MAX })
  const metrics = createHttpMetrics(options.metrics)
  observeRequests(app, metrics, log)
  app.setErrorHandler((error, request, reply) => tell(request, reply, error))
  app.setNotFoundHandler((request, reply) => tell(request, reply, new Refusal('NOT_FOUND')))
  const limits = await createLimits(app, {
    attemptsPerAddress: config.RATE_LIMIT_IP_PER_MINUTE, attemptsPerNumber: config.RATE_LIMIT_JID_PER_MINUTE, looksPerAddress: config.RATE_LIMIT_STATUS_PER_MINUTE,
  })
  const gateway: Gateway = {
    bus, limits, messages, templates, metrics, log, now, inviteUrl: config.GROUP_INVITE_URL, botNumber: config.BOT_NUMBER, panelUrl: config.PANEL_PUBLIC_URL, site: options.site,
    claiming: createClaiming({ bus, membership, templates }),
  }
  for (const route of [createClaim, claimStatus, listTemplates, openApi, health, formPage, claimPage, stylesheet, siteFiles]) route(app, gateway)
  const { webhook } = options
  if (webhook) await app.register(async (scope) => { whatsappWebhook(scope as App, gateway, webhook) })
  refuseOtherMethods(app, new Map(routes))
  return app
}
