// What a visitor does at the gateway: the form, and looking at the status. The password of nobody is known here.
import { randomUUID } from 'node:crypto'
import { ClaimAccepted, ClaimProgress, ErrorBody, TemplateOffers } from '../../contracts/http.ts'
import type { TSchema, Static } from 'typebox'
import { validatorOf } from '../../services/common/envelope.ts'
import { CanaryFailure, HeldBack } from './failure.ts'
import { waitFor } from './patience.ts'
import type { Settings } from './settings.ts'

/** By this name the canary knows its own claims. */
export const CANARY_USERNAME = 'klaim-canary'
const ANSWER_MS_MAX = 15_000
/** A bot that restarts, or a leader of the ledger that is chosen: a visitor presses again, too. */
const PRESSES_MS_MAX = 60_000
const PRESS_AGAIN_MS = 3_000
const PRESS_AGAIN: readonly string[] = ['UNAVAILABLE', 'BOT_OFFLINE', 'RATE_LIMITED', 'CANARY_GATEWAY_AWAY']

export interface Visitor {
  /** Answers the claim's id. Throws a CanaryFailure, or HeldBack. */
  claim (): Promise<string>
  /** Undefined where the gateway does not answer. */
  progress (claimId: string): Promise<ClaimProgress | undefined>
}

export function createVisitor ({ GATEWAY_URL: gateway, CANARY_NUMBER: number, CANARY_TEMPLATE: template }: Settings, signal: AbortSignal): Visitor {
  const base = gateway.replace(/\/$/, '')

  /** Status and body; undefined where there is no answer of the gateway. What went wrong is not looked at: it may quote what was sent. */
  async function ask (path: string, init: { method?: string, headers?: Record<string, string>, body?: string } = {}): Promise<{ status: number, body: unknown } | undefined> {
    try {
      const answer = await fetch(`${base}${path}`, { ...init, headers: { 'accept-language': 'en', ...init.headers }, redirect: 'error', signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)]) })
      return { status: answer.status, body: await answer.json() as unknown }
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }

  async function offer (): Promise<string> {
    if (template !== undefined) return template
    const answer = await ask('/api/templates')
    const first = answer?.status === 200 ? read(TemplateOffers, answer.body)?.templates[0]?.name : undefined
    if (first === undefined) throw new CanaryFailure('CANARY_GATEWAY_AWAY')
    return first
  }

  /** The id, or why not. */
  async function press (key: string, form: object): Promise<{ id: string } | { code: string }> {
    const answer = await ask('/api/claim', { method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': key }, body: JSON.stringify(form) })
    if (!answer) return { code: 'CANARY_GATEWAY_AWAY' }
    const accepted = answer.status === 202 ? read(ClaimAccepted, answer.body) : undefined
    return accepted ? { id: accepted.claim_id } : { code: read(ErrorBody, answer.body)?.error.code ?? 'CANARY_GATEWAY_AWAY' }
  }

  return {
    claim: async () => {
      // The same key at every press, so that one whose answer was lost makes no second claim.
      const key = randomUUID()
      let last = 'CANARY_GATEWAY_AWAY'
      const passes = (error: unknown): boolean => error instanceof HeldBack || (error instanceof CanaryFailure && error.code === 'CANARY_REFUSED')
      const claimId = await waitFor({ patienceMs: PRESSES_MS_MAX, everyMs: PRESS_AGAIN_MS, signal }, async () => {
        const pressed = await press(key, { username: CANARY_USERNAME, wa_number_e164: `+${number}`, template: await offer() })
        if ('id' in pressed) return pressed.id
        last = pressed.code
        if (last === 'CLAIMS_CLOSED') throw new HeldBack('CLAIMS_CLOSED')
        if (!PRESS_AGAIN.includes(last)) throw new CanaryFailure('CANARY_REFUSED', last)
        return undefined
      }, passes)
      if (claimId !== undefined) return claimId
      throw last === 'CANARY_GATEWAY_AWAY' ? new CanaryFailure('CANARY_GATEWAY_AWAY') : new CanaryFailure('CANARY_REFUSED', last)
    },
    progress: async (claimId) => {
      const answer = await ask(`/api/claim/${claimId}/status`)
      return answer?.status === 200 ? read(ClaimProgress, answer.body) : undefined
    },
  }
}

const read = <Schema extends TSchema>(schema: Schema, body: unknown): Static<Schema> | undefined => validatorOf(schema).Check(body) ? body as Static<Schema> : undefined
