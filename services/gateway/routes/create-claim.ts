import { Type } from 'typebox'
import { ClaimAccepted, ClaimForm, ErrorBody, IdempotencyKey } from '../../../contracts/http.ts'
import { LOOK_AGAIN_S } from '../claim-progress.ts'
import type { App, Gateway } from '../gateway.ts'
import { refusalOf } from '../refusal.ts'
import { requestLanguage } from '../request-language.ts'

export const createClaimSchema = {
  operationId: 'createClaim',
  summary: 'Ask for a server',
  description: 'Answers as soon as the claim is accepted; the server is made afterwards, and the login comes by WhatsApp. With an Idempotency-Key the same request may be sent again: it finds the claim that it made.',
  headers: Type.Object({ 'idempotency-key': Type.Optional(IdempotencyKey) }),
  body: ClaimForm,
  response: { 202: ClaimAccepted, '4xx': ErrorBody, '5xx': ErrorBody },
}

export function createClaim (app: App, { claiming, limits, metrics }: Gateway): void {
  app.post('/api/claim', {
    schema: createClaimSchema,
    onRequest: async (request) => { await limits.attempt(request) },
    // Refusals before the handler count as well.
    onError: async (_request, _reply, error) => { metrics.claims.inc({ result: refusalOf(error).code }) },
  }, async (request, reply) => {
    const { username, wa_number_e164, template } = request.body
    const claim_id = await claiming({
      form: { username, wa_number_e164, template },
      language: requestLanguage(request),
      idempotencyKey: request.headers['idempotency-key'],
      limitNumber: async (waJid) => { await limits.number(request, waJid) },
    })
    request.claimId = claim_id
    metrics.claims.inc({ result: 'accepted' })
    return reply.code(202).headers({ location: `/api/claim/${claim_id}/status`, 'retry-after': LOOK_AGAIN_S, 'cache-control': 'no-store' }).send({ claim_id })
  })
}
