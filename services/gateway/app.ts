import Fastify, { LogController, type FastifyBaseLogger } from 'fastify'
import formbody from '@fastify/formbody'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import type { Bus } from '../common/bus.ts'
import type { Counters } from '../common/counters.ts'
import type { Log } from '../common/log.ts'
import type { Membership } from '../common/membership.ts'
import type { Metrics } from '../common/metrics.ts'
import type { Messages } from '../common/phrases.ts'
import type { Templates } from '../common/templates.ts'
import type { Admission } from './admission.ts'
import { BODY_BYTES_MAX, BOUNDS, trustedProxies } from './bounds.ts'
import { createClaiming } from './claiming.ts'
import type { Config } from './config.ts'
import { allowOrigins } from './cors.ts'
import { drainConnections } from './drain.ts'
import { answerBrokenRequest, createTelling, refuseOtherMethods } from './errors.ts'
import type { App, Gateway } from './gateway.ts'
import { createHttpMetrics, observeRequests } from './http-metrics.ts'
import { traceRequests } from './http-traces.ts'
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
import { BARE_HEADERS, sendSecurityHeaders } from './security-headers.ts'
import type { Site } from './site.ts'
import type { Webhook } from './webhook.ts'

export interface AppOptions {
  readonly config: Pick<Config, 'TRUST_PROXY' | 'GROUP_INVITE_URL' | 'BOT_NUMBER' | 'RATE_LIMIT_IP_PER_MINUTE' | 'RATE_LIMIT_JID_PER_MINUTE' | 'RATE_LIMIT_STATUS_PER_MINUTE' | 'PANEL_PUBLIC_URL' | 'CORS_ORIGIN' | 'INTERNAL_SECRET' | 'HTTP_SOCKETS_MAX'>
  readonly bus: Pick<Bus, 'request' | 'isConnected'>
  /** Shared by all gateways, for their limits. */
  readonly counters: Counters
  readonly membership: Pick<Membership, 'check'>
  readonly admission: Admission
  readonly messages: Messages
  readonly templates: Templates
  readonly site?: Site | undefined
  /** Absent: its address is not found. */
  readonly webhook?: Webhook | undefined
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
}

/** The whole gateway but its port; tests talk to it by `inject`. */
export async function createApp (options: AppOptions): Promise<App> {
  const { config, bus, counters, membership, admission, messages, templates, log, now } = options
  const tell = createTelling({ messages, inviteUrl: config.GROUP_INVITE_URL, log })
  const refuse = answerBrokenRequest(messages)
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // One line for each answer is written by http-metrics.ts, without what was asked.
    logController: new LogController({ disableRequestLogging: true }),
    ...BOUNDS,
    trustProxy: trustedProxies(config),
    requestIdHeader: false,
    genReqId: () => randomUUID(),
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => { void tell(request, reply.headers(BARE_HEADERS), error) },
    clientErrorHandler: refuse,
    // Nothing is guessed: what does not fit the schema is refused, never coerced or dropped.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>() as App

  app.server.maxConnections = config.HTTP_SOCKETS_MAX
  drainConnections(app)
  // `Expect` is a wish, and Node's own refusal of one has no body; a CONNECT it would hang up on.
  app.server.on('checkExpectation', (request, response) => { app.server.emit('request', request, response) })
  app.server.on('connect', (_request, socket: Socket) => { refuse(new Error('this is no proxy'), socket) })
  app.addHook('onRequest', async (request, reply) => { reply.headers({ 'x-request-id': request.id, vary: 'Accept-Language' }) })
  await sendSecurityHeaders(app)
  await allowOrigins(app, (config.CORS_ORIGIN ?? '').split(',').map((origin) => origin.trim()).filter(Boolean))

  const routes = new Map<string, { methods: string[], page: boolean }>()
  app.addHook('onRoute', ({ url, method, config }) => {
    const known = routes.get(url) ?? { methods: [], page: config?.page === true }
    routes.set(url, { ...known, methods: [...new Set([...known.methods, ...[method].flat()])] })
  })
  app.addHook('onRequest', async (request) => {
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') throw new Refusal('INVALID_REQUEST', { field: 'host' })
    // Before the body is read: what it holds does not matter where nobody takes it.
    if (request.is404) throw new Refusal('NOT_FOUND')
  })

  // External plugins first, then what the routes share, then the routes, then what needs to know all of them.
  await app.register(formbody, { bodyLimit: BODY_BYTES_MAX })
  const metrics = createHttpMetrics(options.metrics)
  observeRequests(app, metrics, log)
  traceRequests(app)
  app.setErrorHandler((error, request, reply) => tell(request, reply, error))
  app.setNotFoundHandler((request, reply) => tell(request, reply, new Refusal('NOT_FOUND')))
  const limits = await createLimits(app, {
    perMinute: { attemptsPerAddress: config.RATE_LIMIT_IP_PER_MINUTE, attemptsPerNumber: config.RATE_LIMIT_JID_PER_MINUTE, looksPerAddress: config.RATE_LIMIT_STATUS_PER_MINUTE },
    counters, internalSecret: config.INTERNAL_SECRET, log, metrics, now,
  })
  const gateway: Gateway = {
    bus, limits, messages, templates, metrics, log, now, inviteUrl: config.GROUP_INVITE_URL, botNumber: config.BOT_NUMBER, panelUrl: config.PANEL_PUBLIC_URL, site: options.site,
    claiming: createClaiming({ bus, membership, admission, templates }),
  }
  for (const route of [createClaim, claimStatus, listTemplates, openApi, health, formPage, claimPage, stylesheet, siteFiles]) route(app, gateway)
  const { webhook } = options
  if (webhook) await app.register(async (scope) => { whatsappWebhook(scope as App, gateway, webhook) })
  refuseOtherMethods(app, new Map(routes))
  return app
}
