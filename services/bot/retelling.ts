// Somebody came or left, and the ledger does not know: the word of it was lost. On an operator's word (scripts/drift apply) the group is read anew, and
// what it shows is said once more. Nothing is said of whom the group does not show for certain.
import { getClaim, tellMovement, type ClaimView, type RepairAnswer } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { outcomeOf } from '../common/event-line.ts'
import type { Log } from '../common/log.ts'
import { onWord } from '../common/operations.ts'
import type { Announcer } from './announcer.ts'
import type { MembershipCheck } from './membership-check.ts'

export interface RetellingOptions {
  readonly bus: Pick<Bus, 'request' | 'publish'>
  readonly check: MembershipCheck
  /** Null while another bot holds the session. */
  readonly announcer: () => Announcer | null
  readonly log: Log
}

type Movement = 'joined' | 'left'

/** Would the ledger decide anything? An older answer of it does no harm: what is said is true, and said twice it changes nothing. */
function isNews ({ status, delete_job_id: job, deletion_started: isGoing }: ClaimView, movement: Movement): boolean {
  if (movement === 'left') return (status === 'creating' || status === 'active') && job === null
  return (status === 'creating' || status === 'deleting') && job !== null && isGoing !== true
}

export function createRetelling ({ bus, check, announcer, log }: RetellingOptions): Responder {
  async function tell (claim: ClaimView, movement: Movement): Promise<RepairAnswer> {
    if (!isNews(claim, movement)) return { ok: true, outcome: 'already' }
    const { wa_jid: waJid } = claim
    const { membership, wa_jid: shownAs, seen_at: seenAt } = await check({ wa_jid: waJid, live: true })
    if (membership === 'unknown' || seenAt === null) return { ok: false, rejection: 'MEMBERSHIP_UNKNOWN' }
    if ((membership === 'present') !== (movement === 'joined')) return { ok: false, rejection: 'MEMBERSHIP_OTHER' }
    const isSaid = await announcer()?.sayAgain({ kind: movement, waJid, phone: shownAs.slice(0, shownAs.indexOf('@')), seenAt: Date.parse(seenAt) })
    return isSaid ? { ok: true, outcome: 'done' } : { ok: false, rejection: 'MEMBERSHIP_UNKNOWN' }
  }

  return answering(tellMovement, async ({ claim_id: claimId, movement, by, why }) => {
    const found = await bus.request(getClaim, { claim_id: claimId })
    const answer: RepairAnswer = found.ok
      ? await onWord(bus, { request: tellMovement, by, why, about: { memberId: found.claim.member_id, claimId }, detail: movement }, async () => await tell(found.claim, movement))
      : { ok: true, outcome: 'already' }
    log.warn({ decision: 'movement.told_again', claim_id: claimId, movement, by, why, ...outcomeOf(answer) }, 'an operator has a movement said once more')
    return answer
  })
}
