// The events by which a claim is known again, from its entry in the book and what NATS and the panel still know of it. Pure.
//
//   in the book      on the panel                       restored as
//   active           -                                  active
//   deleting         its server                         active, and then the departure that it waits for, at the time that was promised
//   deleting         nothing                            deleted: the point of no return had been passed
//   creating         its server, installed              active, with its departure where it has one; nobody has its password
//   creating         half of it, or nothing             failed, after what is half-made was removed; the member may claim again
//   failed, deleted  -                                  the same
//
// What the book knows happened when the book says it did, so that former members are not kept longer for it.
import { isOver } from '../../contracts/codes.ts'
import type { Language } from '../../contracts/ids.ts'
import type { BookEntry } from '../../contracts/requests.ts'
import { evolve, type Claim, type Movement, type Restored } from '../../services/claim-store/claim.ts'
import { written, type Written } from '../../services/claim-store/record.ts'

export interface FoundServer { readonly id: number, readonly userId: number, readonly allocationId: number | undefined, readonly isInstalled: boolean }

/** A movement of a member as it stands on MEMBERS. Times are epoch milliseconds: when it happened, and when it was stored. */
export interface Heard extends Movement { readonly hasLeft: boolean, readonly storedAt: number }

/** What is known of a claim beside its entry. */
export interface Known {
  readonly memberId: string
  readonly language: Language
  /** Highest number of a departure that anybody has spoken of; 0 where there is none. */
  readonly departures: number
  /** The member's, oldest first. */
  readonly heard: readonly Heard[]
  /** Asked for only where `asksPanel`; null where the panel has none of this claim. */
  readonly server: FoundServer | null
}

export interface Planned extends Written { readonly time: Date }

export interface ClaimPlan {
  readonly entry: BookEntry
  readonly memberId: string
  readonly as: 'active' | 'leaving' | 'failed' | 'deleted'
  /** What is left of it on the panel is to be removed first. */
  readonly clears: boolean
  /** The member never got a login. */
  readonly needsLogin: boolean
  readonly events: readonly Planned[]
}

/** Entries that the panel has to be asked about: the book may be a moment older than what happened there. */
export const asksPanel = ({ status, server_id, user_id, allocation_id }: BookEntry): boolean =>
  status === 'creating' || status === 'deleting' || (status === 'active' && (server_id === null || user_id === null || allocation_id === null))

/** `before` is the member's claim as earlier entries left it. */
export function planOf (entry: BookEntry, known: Known, before: Claim, now: Date): { plan: ClaimPlan, claim: Claim } {
  const server = serverOf(entry, known.server)
  const isGone = known.server === null
  const status = isOver(entry.status) ? entry.status
    : entry.status === 'deleting' && isGone ? 'deleted'
    : server && (entry.status !== 'creating' || known.server?.isInstalled === true) ? 'active' : 'failed'
  const departure = status === 'active' && entry.delete_job_id !== null && entry.deletion_scheduled_at !== null
    ? { deleteJobId: entry.delete_job_id, dueAt: Date.parse(entry.deletion_scheduled_at), leftAt: Date.parse(entry.last_event_at) } : undefined
  const isNews = status !== entry.status && !departure && entry.status !== 'active'
  const movement = reflected(known.heard, entry)
  const restored: Restored = {
    type: 'Restored', status, at: Date.parse(entry.created_at), claimId: entry.claim_id, memberId: known.memberId, waJid: entry.wa_jid, language: known.language,
    // What is removed from the panel is not there when a run that died begins again, and must be written the same.
    server: status === 'active' ? server : serverOf(entry, null),
    code: entry.status !== 'failed' && status === 'failed' ? 'INTERNAL' : undefined,
    deleteJobId: status === 'deleted' ? entry.delete_job_id ?? undefined : undefined,
    departures: known.departures,
    movement: movement && { sequence: movement.sequence, at: movement.at },
  }
  const time = isNews ? now : new Date(entry.last_event_at)
  const events: Planned[] = [{ ...written(before, restored), time }]
  let claim = evolve(before, restored)
  if (departure) {
    const scheduled = { type: 'DeletionScheduled', departure, reason: 'left', movement: undefined } as const
    events.push({ ...written(claim, scheduled), time })
    claim = evolve(claim, scheduled)
  }
  const isHalfMade = status === 'failed' && entry.status === 'creating'
  return {
    claim,
    plan: {
      entry, memberId: known.memberId, events, as: departure ? 'leaving' : status,
      clears: isHalfMade || (status === 'deleted' && entry.status === 'deleting'),
      needsLogin: entry.status === 'creating' && status === 'active',
    },
  }
}

/** The book's word, and where it has none the panel's. */
function serverOf ({ user_id, server_id, allocation_id }: BookEntry, found: FoundServer | null): Restored['server'] {
  if (user_id !== null && server_id !== null && allocation_id !== null) return { user_id, server_id, allocation_id }
  return found?.allocationId === undefined ? undefined : { user_id: found.userId, server_id: found.id, allocation_id: found.allocationId }
}

/**
 * The newest movement that the entry reflects: it was stored before the entry's last event, or the entry is as it would have left it. A later one
 * was decided after the book was written, or not yet, and is heard anew.
 */
function reflected (heard: readonly Heard[], { status, delete_job_id: job, last_event_at: at }: BookEntry): Heard | undefined {
  const hasLeft = job !== null || isOver(status)
  return heard.findLast((movement) => movement.storedAt <= Date.parse(at) || isOver(status) || movement.hasLeft === hasLeft)
}
