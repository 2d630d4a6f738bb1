import type { FastifyReply, FastifyRequest } from 'fastify'
import { isUnchanged } from '../claim-progress.ts'
import type { App, Gateway } from '../gateway.ts'
import { Refusal } from '../refusal.ts'
import type { SiteFile } from '../site.ts'

/** Sends a file in the smallest form that the browser takes. */
export function sendFile (request: FastifyRequest, reply: FastifyReply, file: SiteFile): FastifyReply {
  const { type, etag, cacheControl, body, gzip, br, contentSecurityPolicy } = file
  reply.headers({ etag, 'cache-control': cacheControl, vary: 'Accept-Encoding, Accept-Language' })
  if (contentSecurityPolicy !== undefined) reply.header('content-security-policy', contentSecurityPolicy)
  if (isUnchanged(request.headers['if-none-match'], etag)) return reply.code(304).send()
  reply.type(type)
  const accepted = (request.headers['accept-encoding'] ?? '').split(',').filter((coding) => !/;\s*q=0(\.0*)?\s*$/.test(coding)).map((coding) => coding.trim().split(';')[0])
  if (br && accepted.includes('br')) return reply.header('content-encoding', 'br').send(br)
  if (gzip && accepted.includes('gzip')) return reply.header('content-encoding', 'gzip').send(gzip)
  return reply.send(body)
}

/** The exported claim page's second language and everything that its pages load. */
export function siteFiles (app: App, { site }: Gateway): void {
  if (!site) return
  app.get('/en/', { config: { page: true } }, async (request, reply) => sendFile(request, reply, site.pages.en))
  app.get('/en', { config: { page: true } }, async (_request, reply) => await reply.redirect('/en/', 308))
  app.get<{ Params: { '*': string } }>('/_next/*', async (request, reply) => {
    const file = site.files.get(`_next/${request.params['*']}`)
    if (!file) throw new Refusal('NOT_FOUND')
    return sendFile(request, reply, file)
  })
  for (const [path, file] of site.files) if (!path.includes('/')) app.get(`/${path}`, async (request, reply) => sendFile(request, reply, file))
}
