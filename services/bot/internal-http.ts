// The bot's internal port: membership for the services, pairing for the operator. Every call carries the shared secret.
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import type { Static } from 'typebox'
import { CHECK_MEMBER_PATH, CheckMemberQuestion, INTERNAL_SECRET_HEADER } from '../../contracts/http.ts'
import { problemsOf, validatorOf } from '../common/envelope.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { isOneOf } from '../common/secret-pair.ts'
import type { MembershipCheck } from './membership-check.ts'
import type { Pairing } from './pairing.ts'

export const PAIRING_PATH = '/internal/pairing'

const BODY_BYTES_MAX = 1_024

export interface InternalHttp { readonly port: number, close (): Promise<void> }

export async function serveInternal ({ host, port, secret, check, pairing, log }: { host: string, port: number, secret: string, check: MembershipCheck, pairing: Pairing, log: Log }): Promise<InternalHttp> {
  const app = Fastify({ bodyLimit: BODY_BYTES_MAX, requestTimeout: 30_000, connectionTimeout: 60_000, logger: false })
  const isSecret = isOneOf(secret)

  app.addHook('onRequest', async (request, reply) => {
    const given = request.headers[INTERNAL_SECRET_HEADER]
    if (typeof given === 'string' && isSecret(given)) return
    await reply.code(401).send({ error: { code: 'UNAUTHORIZED' } })
  })
  app.setErrorHandler(async (error, _, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status >= 500) log.error({ code: codeOf(error), err: error }, 'an internal request failed')
    await reply.code(status).send({ error: { code: status >= 500 ? 'INTERNAL' : 'INVALID_REQUEST' } })
  })

  app.post(CHECK_MEMBER_PATH, async (request, reply) => {
    if (!validatorOf(CheckMemberQuestion).Check(request.body)) return await reply.code(400).send({ error: { code: 'INVALID_REQUEST', message: problemsOf(CheckMemberQuestion, request.body) } })
    return await check(request.body as Static<typeof CheckMemberQuestion>)
  })
  app.get(PAIRING_PATH, async (_, reply) => await reply.header('cache-control', 'no-store').send(pairing.current()))
  app.get(`${PAIRING_PATH}.png`, async (_, reply) => {
    const png = await pairing.qrPng()
    if (!png) return await reply.code(404).send({ error: { code: 'NOT_FOUND' } })
    return await reply.header('cache-control', 'no-store').type('image/png').send(png)
  })

  await app.listen({ host, port })
  return {
    port: (app.server.address() as AddressInfo).port,
    close: async () => { await app.close() },
  }
}
