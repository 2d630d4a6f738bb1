import { Type } from 'typebox'
import { ClaimProgress, ErrorBody } from '../../../contracts/http.ts'
import { ClaimId } from '../../../contracts/ids.ts'
import { etagOf, findClaim, isUnchanged, LOOK_AGAIN_S, progressOf } from '../claim-progress.ts'
import type { App, Gateway } from '../gateway.ts'
import { requestLanguage } from '../request-language.ts'

export const claimStatusSchema = {
  operationId: 'claimStatus',
  summary: 'How far a claim is',
  description: 'Ask again after Retry-After, with If-None-Match: 304 says that nothing is new.',
  params: Type.Object({ id: ClaimId }),
  response: { 200: ClaimProgress, 304: Type.Null(), '4xx': ErrorBody, '5xx': ErrorBody },
}

export function claimStatus (app: App, { bus, limits, messages, now }: Gateway): void {
  app.get('/api/claim/:id/status', { schema: claimStatusSchema, onRequest: async (request) => { await limits.look(request) } }, async (request, reply) => {
    const { id } = request.params
    request.claimId = id
    const language = requestLanguage(request)
    const progress = progressOf(await findClaim(bus, id), messages, language, now())
    const etag = etagOf(progress)
    reply.headers({ etag, 'cache-control': 'no-cache', 'content-language': language })
    if (progress.status === 'creating') reply.header('retry-after', LOOK_AGAIN_S)
    if (isUnchanged(request.headers['if-none-match'], etag)) return reply.code(304).send(null)
    return progress
  })
}
