// The bot's internal port: membership for the services and pairing for the operator, who have the internal secret; and alerts from Alertmanager,
// which has a secret of its own that opens nothing else.
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { Static } from 'typebox'
import { CHECK_MEMBER_PATH, CheckMemberQuestion, INTERNAL_SECRET_HEADER } from '../../contracts/http.ts'
import { problemsOf, validatorOf } from '../common/envelope.ts'
import { codeOf, Fault } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { firstOf, isOneOf } from '../common/secret-pair.ts'
import { serving } from '../common/tracing.ts'
import type { TellAdmins } from './alert-teller.ts'
import { AlertNotice } from './alerts.ts'
import type { MembershipCheck } from './membership-check.ts'
import type { Pairing } from './pairing.ts'
import type { GroupSummary } from './whatsapp.ts'

export const PAIRING_PATH = '/internal/pairing'

export const GROUPS_PATH = '/internal/groups'

export const ALERTS_PATH = '/internal/alerts'

const BODY_BYTES_MAX = 1_024
/** A hundred alerts with all that Alertmanager says of them. */
const ALERTS_BYTES_MAX = 256 * 1_024

export interface InternalHttp { readonly port: number, close (): Promise<void> }

export interface InternalHttpOptions {
  readonly host: string
  readonly port: number
  readonly secret: string
  /** Undefined: there is no door for alerts. */
  readonly alerts: { readonly secret: string, readonly tell: TellAdmins } | undefined
  readonly check: MembershipCheck
  readonly pairing: Pairing
  /** Null where the bot is not connected. Throws a transient Fault where WhatsApp does not answer. */
  readonly groups: () => Promise<GroupSummary[] | null>
  readonly log: Log
}

export async function serveInternal ({ host, port, secret, alerts, check, pairing, groups, log }: InternalHttpOptions): Promise<InternalHttp> {
  const app = Fastify({ bodyLimit: BODY_BYTES_MAX, requestTimeout: 30_000, connectionTimeout: 60_000, logger: false })
  const isSecret = isOneOf(secret)
  const isAlertsSecret = alerts && isOneOf(alerts.secret)

  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.url === ALERTS_PATH) {
      // Alertmanager sends its whole file, which holds two by comma while the secret is changed.
      const [, given] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? []
      if (given !== undefined && isAlertsSecret?.(firstOf(given))) return
    } else {
      const given = request.headers[INTERNAL_SECRET_HEADER]
      if (typeof given === 'string' && isSecret(given)) return
    }
    await reply.code(401).send({ error: { code: 'UNAUTHORIZED' } })
  })
  app.setErrorHandler(async (error, _, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status >= 500) log.error({ code: codeOf(error), err: error }, 'an internal request failed')
    await reply.code(status).send({ error: { code: status >= 500 ? 'INTERNAL' : 'INVALID_REQUEST' } })
  })
  // Fastify's own would quote the address.
  app.setNotFoundHandler(async (_, reply) => await reply.code(404).send({ error: { code: 'NOT_FOUND' } }))

  app.post(CHECK_MEMBER_PATH, async (request, reply) => {
    if (!validatorOf(CheckMemberQuestion).Check(request.body)) return await reply.code(400).send({ error: { code: 'INVALID_REQUEST', message: problemsOf(CheckMemberQuestion, request.body) } })
    const { traceparent } = request.headers
    return await serving('POST', CHECK_MEMBER_PATH, typeof traceparent === 'string' ? traceparent : undefined, async () => await check(request.body as Static<typeof CheckMemberQuestion>))
  })
  if (alerts) {
    app.post(ALERTS_PATH, { bodyLimit: ALERTS_BYTES_MAX }, async (request, reply) => {
      if (!validatorOf(AlertNotice).Check(request.body)) return await reply.code(400).send({ error: { code: 'INVALID_REQUEST', message: problemsOf(AlertNotice, request.body) } })
      try {
        return { told: await alerts.tell(request.body as AlertNotice) }
      } catch (error) {
        if (!(error instanceof Fault && error.kind === 'transient')) throw error
        log.warn({ code: error.code }, 'admins cannot be told of an alert at the moment')
        // Alertmanager tries again after a 5xx, and after nothing else.
        return await reply.code(503).send({ error: { code: 'BOT_OFFLINE' } })
      }
    })
  }
  app.get(PAIRING_PATH, async (_, reply) => await reply.header('cache-control', 'no-store').send(pairing.current()))
  app.get(`${PAIRING_PATH}.png`, async (_, reply) => {
    const png = await pairing.qrPng()
    if (!png) return await reply.code(404).send({ error: { code: 'NOT_FOUND' } })
    return await reply.header('cache-control', 'no-store').type('image/png').send(png)
  })
  // How an operator learns the id of the group that is to be watched.
  app.get(GROUPS_PATH, async (_, reply) => {
    const found = await groups().catch((error: unknown) => {
      if (error instanceof Fault && error.kind === 'transient') return null
      throw error
    })
    return await reply.code(found ? 200 : 503).header('cache-control', 'no-store').send(found ?? { error: { code: 'BOT_OFFLINE' } })
  })

  await app.listen({ host, port })
  return {
    port: (app.server.address() as AddressInfo).port,
    close: async () => { await app.close() },
  }
}
