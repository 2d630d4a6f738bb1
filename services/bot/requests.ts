// What the bot answers over NATS.
import type { Static } from 'typebox'
import { getClaim, memberSeen, rosterSummary, sendLogin, type ClaimView } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { onWord } from '../common/operations.ts'
import type { Belief } from './belief.ts'
import type { NewLogin } from './login.ts'
import type { MembershipCheck } from './membership-check.ts'
import type { Numbers } from './numbers.ts'

export interface ResponderOptions {
  readonly bus: Bus
  readonly numbers: Numbers
  readonly newLogin: NewLogin
  readonly retelling: Responder
  readonly check: MembershipCheck
  readonly belief: () => Belief
  readonly isReliable: () => boolean
  readonly state: () => string
  readonly isOpen: () => boolean
}

/** Gives what starts answering: to be called once this bot has held the session, because a standby must not draw questions to itself. */
export function createResponder ({ bus, numbers, newLogin, retelling, check, belief, isReliable, state, isOpen }: ResponderOptions): () => Promise<void> {
  let isResponding = false

  async function sendNewLogin (claim: ClaimView): Promise<Static<typeof sendLogin.answer>> {
    const to = await numbers.addressee(claim.wa_jid.slice(0, claim.wa_jid.indexOf('@')))
    if (!to) return { ok: false, rejection: 'WHATSAPP_NOT_REGISTERED' }
    const result = await newLogin(claim, to, claim.language ?? 'id')
    return result.ok ? { ok: true } : { ok: false, rejection: result.rejection }
  }

  return async () => {
    if (isResponding) return
    isResponding = true
    await bus.respond([
      retelling,
      answering(memberSeen, async ({ claim_id }) => {
        const found = await bus.request(getClaim, { claim_id })
        if (!found.ok) return { ok: false as const, rejection: 'NOT_FOUND' as const }
        const { membership, seen_at: seenAt } = await check({ wa_jid: found.claim.wa_jid, live: true })
        return { ok: true as const, seen: seenAt === null ? 'unknown' as const : membership }
      }),
      answering(rosterSummary, async () => {
        const { roster, seenAt } = belief()
        return {
          ok: true as const, state: isReliable() ? 'known' as const : 'unknown' as const, size: roster?.people.length ?? 0,
          seen_at: seenAt === null ? null : new Date(seenAt).toISOString(), connection: state(),
        }
      }),
      answering(sendLogin, async ({ claim_id, by = 'operator', why = 'not said' }) => {
        if (!isOpen()) return { ok: false as const, rejection: 'BOT_OFFLINE' as const }
        const found = await bus.request(getClaim, { claim_id })
        if (!found.ok) return { ok: false as const, rejection: 'NOT_FOUND' as const }
        return await onWord(bus, { request: sendLogin, by, why, about: { memberId: found.claim.member_id, claimId: claim_id } }, async () => await sendNewLogin(found.claim))
      }),
    ])
  }
}
