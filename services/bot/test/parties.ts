// The services that the bot asks, as far as it asks them: they answer over real NATS.
import { eraseMember, getClaim, resetPassword, type ClaimView } from '../../../contracts/requests.ts'
import { answering } from '../../common/bus.ts'
import { jidOf, memberOf, seal, type World } from './harness.ts'

export const claimId = '11111111-1111-4111-8111-111111111111'

export const claimOf = (number: string, more: Partial<ClaimView> = {}): ClaimView => ({
  claim_id: claimId, wa_jid: jidOf(number), member_id: memberOf(number), status: 'active', user_id: 7, server_id: 8, allocation_id: 9, deletion_scheduled_at: null, delete_job_id: null,
  created_at: '2026-01-01T00:00:00.000Z', updated_at: '2026-01-01T00:00:00.000Z', last_event_at: '2026-01-01T00:00:00.000Z', language: 'id', ...more,
})

export interface Parties { readonly claims: ClaimView[], /** Who wanted to be erased, by number. */ readonly erased: string[], /** What the provisioner answers next, if not a new password. */ refuse: 'PANEL_DOWN' | 'TOO_SOON' | null, readonly passwords: string[] }

export async function parties ({ bus }: Pick<World, 'bus'>, claims: ClaimView[]): Promise<Parties> {
  const made: Parties = { claims, erased: [], refuse: null, passwords: [] }
  const store = await bus('claim-store')
  await store.respond([answering(getClaim, async (question) => {
    const claim = made.claims.find((each) => Object.entries(question).every(([name, value]) => each[name as 'claim_id'] === value))
    return claim ? { ok: true as const, claim } : { ok: false as const, rejection: 'NOT_FOUND' as const }
  }), answering(eraseMember, async (question) => {
    const at = made.claims.findIndex((each) => 'wa_jid' in question && each.wa_jid === question.wa_jid)
    const claim = made.claims[at]
    if (!claim) return { ok: false as const, rejection: 'NOT_FOUND' as const }
    if (claim.status !== 'deleted' && claim.status !== 'failed') return { ok: false as const, rejection: 'HAS_SERVER' as const }
    made.claims.splice(at, 1)
    made.erased.push(claim.wa_jid)
    return { ok: true as const, member_id: claim.member_id }
  })])
  const provisioner = await bus('provisioner')
  await provisioner.respond([answering(resetPassword, async () => {
    if (made.refuse) return { ok: false as const, rejection: made.refuse, retry_after_s: 17 }
    const password = `Secret-${made.passwords.length}-zzzzzzzzzzzzzzzzzzzzzz`
    made.passwords.push(password)
    return { ok: true as const, username: 'member-one', sealed_password: await seal(password) }
  })])
  return made
}
