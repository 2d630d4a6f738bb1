import { Type } from 'typebox'
import { ClaimId } from '../../../contracts/ids.ts'
import { findClaim, progressOf } from '../claim-progress.ts'
import type { App, Gateway } from '../gateway.ts'
import { claimPage as render } from '../pages/claim-page.ts'
import { requestLanguage } from '../request-language.ts'

export function claimPage (app: App, { bus, limits, messages, now, botNumber }: Gateway): void {
  const schema = { params: Type.Object({ id: ClaimId }) }
  app.get('/claim/:id', { config: { page: true }, schema, onRequest: async (request) => { await limits.look(request) } }, async (request, reply) => {
    const { id } = request.params
    request.claimId = id
    const language = requestLanguage(request)
    const progress = progressOf(await findClaim(bus, id), messages, language, now())
    return reply.headers({ 'cache-control': 'no-store', 'content-language': language }).type('text/html; charset=utf-8')
      .send(render({ messages, language, progress, botNumber }).text)
  })
}
