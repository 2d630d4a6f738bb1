import { Type } from 'typebox'
import { ErrorBody, WebhookAccepted, WebhookNotice } from '../../../contracts/http.ts'
import type { App, Gateway } from '../gateway.ts'
import { refusalOf } from '../refusal.ts'
import type { Webhook } from '../webhook.ts'

export const whatsappWebhookSchema = {
  operationId: 'whatsappWebhook',
  summary: 'Somebody joined or left the group',
  description: 'For an outside bot. There only where the gateway was given WEBHOOK_SECRETS; 404 otherwise. X-Signature is the hex of HMAC-SHA256, by a shared secret, over the text of X-Timestamp, '
    + 'a dot, and the bytes of the body as they are sent. After a 429, a 5xx or no answer, send the same body with the same nonce again, signed with a new timestamp; NONCE_USED then says that it was stored.',
  headers: Type.Object({
    'x-timestamp': Type.String({ pattern: '^[0-9]{1,12}$', description: 'Unix time in seconds, at most 60 s from the gateway\'s clock' }),
    'x-signature': Type.String({ pattern: '^[0-9a-fA-F]{64}$' }),
  }),
  body: WebhookNotice,
  response: { 202: WebhookAccepted, '4xx': ErrorBody, '5xx': ErrorBody },
}

const BODY_BYTES_MAX = 4 * 1024

/** `scope` is a Fastify context of its own: here a body stays the bytes that were signed. */
export function whatsappWebhook (scope: App, { limits, metrics }: Pick<Gateway, 'limits' | 'metrics'>, webhook: Webhook): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX }, (_request, body, done) => { done(null, body) })
  scope.post('/api/whatsapp-webhook', {
    // Headers and body are checked by hand, after the signature: a caller who cannot sign is told only that.
    schema: { response: whatsappWebhookSchema.response }, bodyLimit: BODY_BYTES_MAX, onRequest: async (request) => { await limits.look(request) },
    // Refusals before the handler count as well.
    onError: async (_request, _reply, error) => { metrics.notices.inc({ result: refusalOf(error).code }) },
  }, async (request, reply) => {
    const result = await webhook.take(request.headers, Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0))
    metrics.notices.inc({ result })
    return reply.code(202).header('cache-control', 'no-store').send({ accepted: true })
  })
}
