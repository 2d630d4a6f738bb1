// How far a message is. The ids under which its parts are shown to the recipient are stored before anything is sent: whatever dies, a part is
// sent again under the same id, which the recipient's phone shows once, and a part that WhatsApp has accepted is never sent again.
import { Type, type Static } from 'typebox'
import { UndeliverableCode } from '../../contracts/codes.ts'

export const Outcome = Type.Union([Type.Literal('delivered'), UndeliverableCode])
export type Outcome = Static<typeof Outcome>

export const SentRecord = Type.Object({
  v: Type.Literal(1),
  parts: Type.Array(Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }), accepted: Type.Boolean() }), { minItems: 1, maxItems: 5 }),
  /** Null while it is under way. */
  outcome: Type.Union([Outcome, Type.Null()]),
})
export type SentRecord = Static<typeof SentRecord>

/** Stands in the bucket of what was sent once a newer password was set than the one in the claim's login, which is then not worth sending any more. */
export const newerLoginKey = (claimId: string): string => `out.newer-login-${claimId}`

export type Step =
  | { readonly kind: 'send', readonly part: number, readonly id: string }
  | { readonly kind: 'conclude', readonly outcome: Outcome }
  /** Already concluded: what is left is to say so. */
  | { readonly kind: 'announce', readonly outcome: Outcome }

export const newRecord = (ids: readonly string[]): SentRecord => ({ v: 1, parts: ids.map((id) => ({ id, accepted: false })), outcome: null })

/** Times are epoch ms; `expiresAt` null: never. */
export function nextStep ({ parts, outcome }: SentRecord, now: number, expiresAt: number | null): Step {
  if (outcome !== null) return { kind: 'announce', outcome }
  const part = parts.findIndex(({ accepted }) => !accepted)
  const next = parts[part]
  if (!next) return { kind: 'conclude', outcome: 'delivered' }
  return expiresAt !== null && now >= expiresAt ? { kind: 'conclude', outcome: 'MESSAGE_EXPIRED' } : { kind: 'send', part, id: next.id }
}

export const accepted = (record: SentRecord, part: number): SentRecord =>
  ({ ...record, parts: record.parts.map((each, n) => n === part ? { ...each, accepted: true } : each) })

export const concluded = (record: SentRecord, outcome: Outcome): SentRecord => ({ ...record, outcome })

/**
 * What an error in WhatsApp's acknowledgement means. 463 is the reach-out lock or a cold contact: each further try counts against the account,
 * so it is never tried again by itself.
 */
export function meaningOf (error: string): UndeliverableCode | 'again' {
  switch (error) {
    case '463': return 'WHATSAPP_REACHOUT_LOCKED'
    case '402': case '403': return 'WHATSAPP_RESTRICTED'
    case '404': return 'WHATSAPP_NOT_REGISTERED'
    case '408': case '429': case '500': case '503': return 'again'
    default: return 'WHATSAPP_REFUSED'
  }
}
