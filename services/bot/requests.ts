// What the bot answers over NATS.
import { getClaim, rosterSummary, sendLogin } from '../../contracts/requests.ts'
import { answering, type Bus } from '../common/bus.ts'
import type { Belief } from './belief.ts'
import type { NewLogin } from './login.ts'
import type { Numbers } from './numbers.ts'

export interface ResponderOptions {
  readonly bus: Bus
  readonly numbers: Numbers
  readonly newLogin: NewLogin
  readonly belief: () => Belief
  readonly isReliable: () => boolean
  readonly state: () => string
  readonly isOpen: () => boolean
}

/** Gives what starts answering: to be called once this bot has held the session, because a standby must not draw questions to itself. */
export function createResponder ({ bus, numbers, newLogin, belief, isReliable, state, isOpen }: ResponderOptions): () => Promise<void> {
  let isResponding = false
  return async () => {
    if (isResponding) return
    isResponding = true
    await bus.respond([
      answering(rosterSummary, async () => {
        const { roster, seenAt } = belief()
        return {
          ok: true as const, state: isReliable() ? 'known' as const : 'unknown' as const, size: roster?.people.length ?? 0,
          seen_at: seenAt === null ? null : new Date(seenAt).toISOString(), connection: state(),
        }
      }),
      answering(sendLogin, async ({ claim_id }) => {
        if (!isOpen()) return { ok: false as const, rejection: 'BOT_OFFLINE' as const }
        const found = await bus.request(getClaim, { claim_id })
        if (!found.ok) return { ok: false as const, rejection: 'NOT_FOUND' as const }
        const to = await numbers.addressee(found.claim.wa_jid.slice(0, found.claim.wa_jid.indexOf('@')))
        if (!to) return { ok: false as const, rejection: 'WHATSAPP_NOT_REGISTERED' as const }
        const result = await newLogin(found.claim, to, found.claim.language ?? 'id')
        return result.ok ? { ok: true as const } : { ok: false as const, rejection: result.rejection }
      }),
    ])
  }
}
