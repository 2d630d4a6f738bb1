// What becomes of a deletion that has fallen due. Unknown is never absent.
import type { PostponeReason } from '../../contracts/codes.ts'
import type { ClaimView } from '../../contracts/requests.ts'

/** What the live roster says of the member; `unknown` also where the bot did not answer. */
export type RosterAnswer = { readonly membership: 'present' | 'absent', readonly seenAt: number } | { readonly membership: 'unknown' }

export interface Circumstances {
  readonly now: number
  readonly brakeIsOn: boolean
  readonly paceAllows: boolean
  /** Until when this job was last put off, epoch milliseconds; null where it never was. */
  readonly postponedAt: number | null
  /** Overdue for longer than this, and not because we put it off: we were away, and the member's warning is stale. */
  readonly outageMs: number
}

export type Verdict =
  /** The job is no longer the member's current one: a return, a newer departure, or somebody was first. */
  | { readonly kind: 'drop' }
  /** Woken too early, or the due time was moved. */
  | { readonly kind: 'wait', readonly until: number }
  | { readonly kind: 'postpone', readonly reason: PostponeReason }
  | { readonly kind: 'refute', readonly seenAt: number }
  /** `evenIfPresent`: nobody was looked for, because the ledger wants the server gone all the same. */
  | { readonly kind: 'confirm', readonly seenAt: number, readonly evenIfPresent?: true }

/** Everything that can be said without asking WhatsApp; null where the roster has to be asked. */
export function beforeRoster (deleteJobId: string, claim: ClaimView | null, circumstances: Circumstances): Verdict | null {
  if (!claim || claim.delete_job_id !== deleteJobId || claim.deletion_started || claim.deletion_scheduled_at === null) return { kind: 'drop' }
  if (claim.status !== 'deleting' && claim.status !== 'creating') return { kind: 'drop' }
  const { now, outageMs, postponedAt, brakeIsOn, paceAllows } = circumstances
  const dueAt = Date.parse(claim.deletion_scheduled_at)
  // Put off counts like not due: the schedule and the sweep may look at one job at once, and the second must not go on where the first has promised more time.
  const wakesAt = Math.max(dueAt, postponedAt ?? 0)
  if (now < wakesAt) return { kind: 'wait', until: wakesAt }
  // The server is finished first; then it is due at once.
  if (claim.status === 'creating') return { kind: 'postpone', reason: 'creating' }
  if (now - wakesAt > outageMs) return { kind: 'postpone', reason: 'outage' }
  if (brakeIsOn) return { kind: 'postpone', reason: 'brake' }
  if (!paceAllows) return { kind: 'postpone', reason: 'pace' }
  if (claim.deletion_even_if_present) return { kind: 'confirm', seenAt: now, evenIfPresent: true }
  return null
}

export function byRoster (roster: RosterAnswer): Verdict {
  switch (roster.membership) {
    case 'present': return { kind: 'refute', seenAt: roster.seenAt }
    case 'absent': return { kind: 'confirm', seenAt: roster.seenAt }
    case 'unknown': return { kind: 'postpone', reason: 'roster_unknown' }
  }
}
