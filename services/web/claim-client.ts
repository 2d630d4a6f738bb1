// The gateway's API as the page uses it. Every answer, and the lack of one, becomes an event of machine.ts.
import type { ClaimProgress, ErrorBody, TemplateOffers } from '../../contracts/http.ts'
import type { Language } from '../../contracts/ids.ts'
import type { Event, Form } from './machine.ts'

const ANSWER_MS_MAX = 15_000

export interface ClaimClient {
  send (form: Form, key: string): Promise<Event>
  look (claimId: string): Promise<Event>
  /** Undefined where there is no answer: what the page was built with stays. */
  offers (): Promise<TemplateOffers | undefined>
}

/** `gatewayUrl` is '' where the gateway serves the page itself. */
export function createClaimClient (gatewayUrl: string, language: Language): ClaimClient {
  let seen: { claimId: string, etag: string } | undefined

  async function ask (path: string, init: Omit<RequestInit, 'headers'> & { headers?: Record<string, string> } = {}): Promise<{ answer: Response, body: unknown } | undefined> {
    try {
      const answer = await fetch(`${gatewayUrl}${path}`, {
        ...init, headers: { 'accept-language': language, ...init.headers }, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(ANSWER_MS_MAX),
      })
      return { answer, body: answer.status === 304 ? undefined : await answer.json() }
    } catch {
      return undefined
    }
  }

  return {
    async send (form, key) {
      const asked = await ask('/api/claim', { method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': key }, body: JSON.stringify(form) })
      if (!asked) return { type: 'UNREACHABLE' }
      const { claim_id } = asked.body as { claim_id?: unknown }
      if (asked.answer.status === 202 && typeof claim_id === 'string') return { type: 'ACCEPTED', claimId: claim_id }
      const error = errorOf(asked.body)
      return error ? { type: 'REFUSED', error } : { type: 'UNREACHABLE' }
    },

    async look (claimId) {
      const etag = seen?.claimId === claimId ? seen.etag : undefined
      const asked = await ask(`/api/claim/${encodeURIComponent(claimId)}/status`, etag === undefined ? {} : { headers: { 'if-none-match': etag } })
      if (!asked) return { type: 'UNREACHABLE', claimId }
      const { answer, body } = asked
      const retryAfterS = Number(answer.headers.get('retry-after')) || undefined
      const when = retryAfterS === undefined ? {} : { retryAfterS }
      if (answer.status === 304) return { type: 'NO_NEWS', claimId, ...when }
      if (answer.status === 404 && errorOf(body)) return { type: 'NOT_FOUND', claimId }
      if (!answer.ok || !isProgress(body)) return { type: 'UNREACHABLE', claimId, ...when }
      const tag = answer.headers.get('etag')
      seen = tag === null ? undefined : { claimId, etag: tag }
      const servedMs = Date.parse(answer.headers.get('date') ?? '')
      return { type: 'NEWS', progress: body, ageMs: Number.isNaN(servedMs) ? 0 : servedMs - Date.parse(body.created_at), ...when }
    },

    async offers () {
      const asked = await ask('/api/templates')
      const body = asked?.body as TemplateOffers | undefined
      return asked?.answer.ok === true && Array.isArray(body?.templates) && body.templates.length > 0 ? body : undefined
    },
  }
}

function errorOf (body: unknown): ErrorBody['error'] | undefined {
  const { error } = (body ?? {}) as Partial<ErrorBody>
  return typeof error?.code === 'string' && typeof error.message === 'string' ? error : undefined
}

function isProgress (body: unknown): body is ClaimProgress {
  const { claim_id, status, message, created_at } = (body ?? {}) as Partial<ClaimProgress>
  return [claim_id, status, message, created_at].every((value) => typeof value === 'string')
}
