// One HTTP call to the panel: admitted by the budget, counted, with its own deadline. Knows nothing of users and servers.
import type { Registry } from 'prom-client'
import { Agent, request, type Dispatcher } from 'undici'
import { transient } from '../common/fault.ts'
import { calling } from '../common/tracing.ts'
import { createPanelMetrics } from './metrics.ts'
import type { Heard, Kind, Lane, PanelBudget } from './panel-budget.ts'
import { stopping } from './panel-budget.ts'
import { codeOfAnswer, errorsOf, faultOf, isNodeFault, type Answer, type Lost } from './panel-fault.ts'

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** The path with its ids as names, for metrics: `/users/{id}`. */
  readonly route: string
  /** Below /api/application. Made of literals, `panelId(…)` and `externalId(…)` only. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly lane: Lane
  readonly kind?: Kind
  readonly isSlow?: boolean
  /** Runs when the call has its turn, just before it goes out; what it throws cancels the call. */
  readonly beforeSend?: () => Promise<void>
  /** Ends the wait for a turn; a call that is out goes on until `stopCalls`. */
  readonly signal: AbortSignal
}

export interface PanelClient {
  /**
   * Resolves with what the panel said, or that nothing came back. Throws transient Faults where the call was certainly not carried out:
   * PANEL_DOWN (not reached, or in maintenance), PANEL_KEY_REFUSED, PANEL_RATE_LIMITED, STOPPING.
   */
  send (call: Call): Promise<Answer | Lost>
  close (): Promise<void>
}

export interface ClientOptions {
  readonly url: string
  readonly key: string
  readonly budget: PanelBudget
  readonly readTimeoutMs: number
  readonly writeTimeoutMs: number
  readonly registry: Registry
  /** Ends calls that are out. */
  readonly stopCalls: AbortSignal
}

/**
 * The panel casts whatever stands in a path to a number ("3ca26fc6-…" is server 3, "50-whatever" is server 50, measured on 1.11.8), so
 * nothing but a positive integer ever gets there.
 */
export function panelId (id: number): string {
  if (!Number.isSafeInteger(id) || id < 1) throw new TypeError('not an id of the panel')
  return String(id)
}

/** A slash never matches, encoded or not, and would be another route. */
export function externalId (id: string): string {
  if (!/^[\w.:@-]{1,191}$/.test(id)) throw new TypeError('not an external id of ours')
  return encodeURIComponent(id)
}

const RATE_LIMITED_TRIES_MAX = 3
const BODY_BYTES_MAX = 16 * 1024 * 1024
/** Failures that come before a byte of the call was sent. */
const NOT_REACHED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'UND_ERR_CONNECT_TIMEOUT', 'ERR_TLS_CERT_ALTNAME_INVALID', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'SELF_SIGNED_CERT_IN_CHAIN'])

export function createPanelClient ({ url, key, budget, readTimeoutMs, writeTimeoutMs, registry, stopCalls }: ClientOptions): PanelClient {
  const dispatcher = new Agent({ connections: 64, pipelining: 1, connect: { timeout: 5_000 }, maxResponseSize: BODY_BYTES_MAX })
  const base = `${url.replace(/\/+$/, '')}/api/application`
  const { calls, seconds, limited } = createPanelMetrics(registry, { remaining: () => budget.remaining(), isUp: () => budget.awayBecause() === null })

  async function attempt (call: Call): Promise<Answer | Lost> {
    const { method, route, lane, kind = 'other', signal } = call
    const ticket = await budget.admit(lane, kind, signal)
    try {
      await call.beforeSend?.()
    } catch (error) {
      ticket.unused()
      throw error
    }
    let answer: Answer | Lost
    try {
      const finished = seconds.startTimer({ method, route })
      const heard = await traced(call)
      finished()
      answer = heard.answer
      calls.inc({ method, route, status: answer.kind === 'lost' ? 'lost' : String(answer.status) })
      if (answer.kind === 'lost') {
        ticket.done()
        return answer
      }
      const fault = refusalOf(answer)
      if (fault !== undefined) {
        ticket.away(fault)
        throw faultOf(answer)
      }
      ticket.done(answer.status >= 500 && heard.limits.limit === undefined ? undefined : heard.limits)
      return answer
    } catch (error) {
      if (error instanceof NotReached) {
        calls.inc({ method, route, status: 'unreachable' })
        ticket.away('PANEL_DOWN')
        throw transient('PANEL_DOWN', 'the panel cannot be reached', { cause: error.cause })
      }
      ticket.done()
      throw error
    }
  }

  async function traced (call: Call): Promise<{ answer: Answer | Lost, limits: Heard }> {
    return await calling(call.method, call.route, async (span) => {
      const heard = await exchange(call)
      if (heard.answer.kind === 'answer') span?.setAttribute('http.response.status_code', heard.answer.status)
      return heard
    })
  }

  async function exchange (call: Call): Promise<{ answer: Answer | Lost, limits: Heard }> {
    const { method, path, query, body, signal, isSlow = false } = call
    const timeoutMs = isSlow ? writeTimeoutMs : readTimeoutMs
    try {
      const response = await request(`${base}${path}${query === undefined ? '' : `?${new URLSearchParams(query).toString()}`}`, {
        method, dispatcher, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, signal: AbortSignal.any([...(method === 'GET' ? [signal] : []), stopCalls, AbortSignal.timeout(timeoutMs * 2)]),
        headers: {
          authorization: `Bearer ${key}`,
          // Without it the panel answers a wrong form with a redirect to its start page (panel 1.11.8, app/Exceptions/Handler.php).
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const limits = limitsOf(response.headers)
      const parsed = parse(await response.body.text())
      return { answer: { kind: 'answer', status: response.statusCode, errors: errorsOf(parsed), body: parsed, retryAfterMs: limits.retryAfterMs }, limits }
    } catch (error) {
      if (NOT_REACHED.has(codeOfError(error))) throw new NotReached('the panel cannot be reached', { cause: error })
      if (signal.aborted && method === 'GET') throw stopping()
      return { answer: { kind: 'lost', cause: error }, limits: {} }
    }
  }

  return {
    send: async (call) => {
      for (let tries = 1; ; tries++) {
        const answer = await attempt(call)
        if (answer.kind === 'lost' || answer.status !== 429) return answer
        limited.inc()
        // The budget has heard how long to wait, and lets nobody through before.
        if (tries >= RATE_LIMITED_TRIES_MAX) throw faultOf(answer)
      }
    },
    close: async () => { await dispatcher.destroy() },
  }
}

class NotReached extends Error {}

/** Answers after which nobody else needs to try. Wings' words about a node are not among them. */
function refusalOf (answer: Answer): 'PANEL_DOWN' | 'PANEL_KEY_REFUSED' | undefined {
  if (isNodeFault(answer)) return undefined
  if (answer.status === 401 || answer.status === 403 || codeOfAnswer(answer) === 'TwoFactorAuthRequiredException') return 'PANEL_KEY_REFUSED'
  return answer.status === 503 ? 'PANEL_DOWN' : undefined
}

function codeOfError (error: unknown): string {
  const { code, cause } = error as { code?: unknown, cause?: { code?: unknown } }
  return typeof code === 'string' ? code : typeof cause?.code === 'string' ? cause.code : ''
}

function limitsOf (headers: Dispatcher.ResponseData['headers']): Heard {
  const number = (name: string): number | undefined => {
    const value = headers[name]
    return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : undefined
  }
  const retryAfterS = number('retry-after')
  return {
    limit: number('x-ratelimit-limit'), remaining: number('x-ratelimit-remaining'),
    // A little later than asked: the panel counts whole seconds.
    retryAfterMs: retryAfterS === undefined ? undefined : Math.min(retryAfterS, 3_600) * 1_000 + 250,
  }
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
