// Every error leaves in one shape, in the caller's language, without a word of what is behind it.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Socket } from 'node:net'
import type { ErrorBody } from '../../contracts/http.ts'
import { codeOf } from '../common/fault.ts'
import { STATUS_CODES } from '../common/http.ts'
import type { Log } from '../common/log.ts'
import type { Messages } from '../common/phrases.ts'
import type { App } from './gateway.ts'
import { errorPage } from './pages/error-page.ts'
import { bodyOf, Refusal, refusalOf, wordsOf } from './refusal.ts'
import { requestLanguage } from './request-language.ts'
import { BARE_HEADERS } from './security-headers.ts'

export interface ErrorOptions { readonly messages: Messages, readonly inviteUrl: string | undefined, readonly log: Log }

export type TellRefusal = (request: FastifyRequest, reply: FastifyReply, error: unknown) => FastifyReply

export function createTelling ({ messages, inviteUrl, log }: ErrorOptions): TellRefusal {
  return (request, reply, error) => {
    const refusal = noted(request, error, log)
    const language = requestLanguage(request)
    const words = wordsOf(refusal, messages, language, inviteUrl)
    describe(reply, refusal).header('content-language', language)
    if (wantsPage(request)) return reply.type('text/html; charset=utf-8').send(errorPage({ messages, language, refusal, words }).text)
    return reply.type('application/json; charset=utf-8').send(bodyOf(refusal, words))
  }
}

/** The error as a refusal, put where the request's log line finds it. A fault behind it is logged here, once. */
export function noted (request: FastifyRequest, error: unknown, log: Log): Refusal {
  const refusal = refusalOf(error)
  request.code = refusal.code
  request.claimId ??= refusal.details.claimId
  request.memberId ??= refusal.details.memberId
  const facts = { request_id: request.id, code: refusal.code, cause: codeOf(refusal.cause), err: refusal.cause }
  if (refusal.code === 'INTERNAL') log.error(facts, 'request failed')
  else if (refusal.status >= 500) log.warn(facts, 'request could not be served')
  return refusal
}

/** Status and headers of a refusal. */
export function describe (reply: FastifyReply, { status, details: { retryAfterS, allow } }: Refusal): FastifyReply {
  reply.code(status).header('cache-control', 'no-store')
  if (retryAfterS !== undefined) reply.header('retry-after', retryAfterS)
  if (allow !== undefined) reply.header('allow', allow)
  return reply
}

function wantsPage (request: FastifyRequest): boolean {
  if (request.routeOptions.config?.page === true) return true
  return !request.url.startsWith('/api/') && (request.headers.accept ?? '').includes('text/html')
}

/** Asking an address in a way it does not take is told as such: 405 with `Allow`. Call when every route is there. */
export function refuseOtherMethods (app: App, routes: ReadonlyMap<string, { methods: readonly string[], page: boolean }>): void {
  for (const [url, { methods, page }] of routes) {
    const allow = methods.join(', ')
    app.route({
      url, method: app.supportedMethods.filter((method) => !methods.includes(method)), config: { page },
      // Before the body is read: what it holds does not matter.
      onRequest: async () => { throw new Refusal('METHOD_NOT_ALLOWED', { allow }) },
      handler: async () => { throw new Refusal('METHOD_NOT_ALLOWED', { allow }) },
    })
  }
}

const CLOSING_MS_MAX = 1_000
const CLIENT_ERRORS: Readonly<Record<string, number>> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }

/** What is no HTTP request at all never reaches a route; it is answered on the socket, in the default language. */
export function answerBrokenRequest (messages: Messages) {
  return (error: Error & { code?: string }, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const status = CLIENT_ERRORS[error.code ?? ''] ?? 400
    const body: ErrorBody = { error: { code: 'INVALID_REQUEST', message: messages.say('id', 'errors.INVALID_REQUEST') } }
    const text = JSON.stringify(body)
    const headers = { ...BARE_HEADERS, 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), connection: 'close' }
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`)
    // Who is told to go and does not close their side would hold the connection.
    setTimeout(() => { socket.destroy() }, CLOSING_MS_MAX).unref()
  }
}
