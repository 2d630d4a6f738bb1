// One member's claim, as a decision over data. Nothing here knows NATS, files or the clock.
//
//            Request            ServerReady            Leave               Confirm              ServerDeleted
//   none ───────────▶ creating ───────────▶ active ───────────▶ leaving ───────────▶ deleting ───────────▶ deleted
//                      │   │                  ▲                   │                (no way back)              │
//          ServerFailed│   │Leave, Return     └── Return, Refute ─┘                                           │ Request
//                      ▼   └ (noted; leaving once the server is ready)                                        ▼
//                   failed ── Request ──▶ creating                                                         creating
//
// From failed and deleted, Erase leads back to none. What an operator may do (`operate`) adds no state: a retry is a request, and a deletion now, held or
// extended is a leave that is due at another time.
//
// HTTP and the book call both `leaving` and `deleting` "deleting".
import type { Static } from 'typebox'
import type { CancelReason, FailureCode, OperatorRefusal, Step } from '../../contracts/codes.ts'
import type { ServerFacts } from '../../contracts/events/claims.ts'
import type { Language } from '../../contracts/ids.ts'

export type Server = Static<typeof ServerFacts>

/** A leave that stands, or an operator's word that the server goes. Times are epoch milliseconds. */
export interface Departure {
  readonly deleteJobId: string
  readonly dueAt: number
  readonly leftAt: number
  /** Held by an operator until `dueAt`: when it would have been due without. */
  readonly heldFrom?: number
  /** It goes even if the member is in the group. */
  readonly evenIfPresent?: true
}

/** Where a join or leave stands in the MEMBERS stream, and when it happened (epoch ms). */
export interface Movement { readonly sequence: number, readonly at: number }

export interface Asked {
  readonly claimId: string
  readonly memberId: string
  readonly waJid: string
  readonly language: Language
  readonly username: string
  readonly template: string
  readonly templateVersion: number
  readonly idempotencyKeyHash: string | undefined
}

/** An earlier claim of the member: enough to find what was said about it. */
export interface Former { readonly claimId: string, readonly departures: number }

/** All that a claim needs of its server after its activation; a claim that was restored from the book knows no more. */
export type KnownServer = Pick<Server, 'user_id' | 'server_id' | 'allocation_id'> & Partial<Server>

/** What only the request said is lost where a claim was restored from the book. */
type Unsaid = { readonly [Field in 'username' | 'template' | 'templateVersion']: Asked[Field] | undefined }

interface Made extends Omit<Asked, keyof Unsaid>, Unsaid {
  /** How many departures this claim has had; numbers their jobs. */
  readonly departures: number
  /** The group was asked then, and the member was in it. Epoch ms. */
  readonly askedAt: number
  /** The newest join or leave that a decision was made of. Outlives the claim. */
  readonly moved: Movement | undefined
  /** Earlier claims, newest last. */
  readonly former: readonly Former[]
}

export type Claim =
  | { readonly status: 'none' }
  | Made & Asked & { readonly status: 'creating', readonly departure: Departure | undefined }
  | Made & { readonly status: 'active', readonly server: KnownServer }
  | Made & { readonly status: 'leaving', readonly server: KnownServer, readonly departure: Departure }
  | Made & { readonly status: 'deleting', readonly server: KnownServer, readonly departure: Departure }
  | Made & { readonly status: 'failed', readonly code: FailureCode | undefined }
  | Made & { readonly status: 'deleted' }

/** What the group shows of a member, read right before. */
export type Seen = 'present' | 'absent' | 'unknown'

/** What an operator may do with a claim. `claimId`: only while it is the member's newest. */
export type Operation =
  | { readonly type: 'Retry', readonly claimId: string, readonly nextClaimId: string, readonly templateVersion: number | undefined, readonly seen: Seen, readonly now: number }
  | { readonly type: 'Delete', readonly claimId: string, readonly evenIfPresent: boolean, readonly seen: Seen, readonly now: number }
  | { readonly type: 'Hold', readonly claimId: string, readonly until: number }
  | { readonly type: 'Release', readonly claimId: string, readonly now: number, readonly graceMs: number }
  | { readonly type: 'Extend', readonly claimId: string, readonly byMs: number, readonly now: number }

export type EraseReason = 'asked' | 'retention'

export type Command =
  /** `isClosed`: no new claims are taken; who asks again for one that was taken finds it. */
  | { readonly type: 'Request', readonly now: number, readonly isClosed?: boolean } & Asked
  | Operation
  | { readonly type: 'ServerReady', readonly claimId: string, readonly server: Server }
  | { readonly type: 'ServerFailed', readonly claimId: string, readonly code: FailureCode, readonly step: Step }
  | { readonly type: 'ServerDeleted', readonly claimId: string, readonly deleteJobId: string, readonly userDeleted: boolean }
  | { readonly type: 'Leave', readonly movement: Movement, readonly now: number, readonly graceMs: number }
  | { readonly type: 'Return', readonly movement: Movement }
  | { readonly type: 'ConfirmDeletion', readonly deleteJobId: string, readonly absentAt: number, readonly now: number, readonly evenIfPresent?: boolean }
  | { readonly type: 'RefuteDeletion', readonly deleteJobId: string }
  | { readonly type: 'RescheduleDeletion', readonly deleteJobId: string, readonly until: number }
  /** `claimId`: only while this is the member's newest claim. */
  | { readonly type: 'Erase', readonly reason: EraseReason, readonly claimId?: string }

/** What is left of a claim after its history was lost (scripts/reseed). No command leads here. */
export interface Restored extends Pick<Asked, 'claimId' | 'memberId' | 'waJid' | 'language'> {
  readonly type: 'Restored'
  readonly status: 'active' | 'failed' | 'deleted'
  /** When it was asked for, epoch ms. */
  readonly at: number
  readonly server: KnownServer | undefined
  readonly code: FailureCode | undefined
  readonly deleteJobId: string | undefined
  readonly departures: number
  readonly movement: Movement | undefined
}

export type ClaimEvent =
  | { readonly type: 'Requested', readonly at: number } & Asked
  | { readonly type: 'Activated', readonly server: Server }
  | { readonly type: 'Failed', readonly code: FailureCode, readonly step: Step }
  | { readonly type: 'DeletionScheduled', readonly departure: Departure, readonly reason: 'left' | 'outage', readonly movement: Movement | undefined }
  | { readonly type: 'DeletionScheduled', readonly departure: Departure, readonly reason: 'operator', readonly operation: 'delete' | 'hold' | 'release' | 'extend', readonly movement: undefined }
  | { readonly type: 'DeletionCancelled', readonly deleteJobId: string, readonly reason: CancelReason, readonly movement: Movement | undefined }
  | { readonly type: 'DeletionStarted', readonly deleteJobId: string }
  | { readonly type: 'Deleted', readonly deleteJobId: string, readonly userDeleted: boolean }
  | { readonly type: 'Erased', readonly memberId: string, readonly claims: readonly Former[], readonly reason: EraseReason }
  | Restored

export type Rejection = 'HAS_SERVER' | 'ALREADY_CLAIMED' | 'LEAVING' | 'CLAIMS_CLOSED' | 'NOT_DUE' | 'STALE_CONFIRMATION' | 'STILL_CREATING' | Exclude<OperatorRefusal, 'NOT_FOUND'>

/** At most one event: one publish is one commit. `happens: undefined` means that it has already happened, or changes nothing. */
export type Decision = { readonly ok: true, readonly happens: ClaimEvent | undefined } | { readonly ok: false, readonly rejection: Rejection }

const happens = (event: ClaimEvent): Decision => ({ ok: true, happens: event })
const nothing: Decision = { ok: true, happens: undefined }
const rejected = (rejection: Rejection): Decision => ({ ok: false, rejection })

/** However late a leave is heard of, the member has at least this long to come back, or the whole grace where that is shorter. */
export const WARNING_MS_MIN = 60 * 60_000
/** A confirmation older than this proves nothing: the member may have come back since. */
export const CONFIRMATION_AGE_MS_MAX = 2 * 60_000

/** When a server goes after a leave. Both times epoch milliseconds. */
export function dueAt (leftAt: number, now: number, graceMs: number): number {
  return Math.max(leftAt + graceMs, now + Math.min(graceMs, WARNING_MS_MIN))
}

/** However often an operator moves a deletion, it is due so long after the leave at the latest: a server that nobody needs is not forgotten. */
export const DELAYED_MS_MAX = 30 * 24 * 3_600_000
/** A time to which a deletion comes back is another than the one before, so that it is another decision, and told anew: members are told in seconds. */
const RELEASED_LATER_MS = 1_000

/** What was said about more claims than these has long gone by its age. */
export const FORMER_MAX = 499
const NO_FORMER: readonly Former[] = []

/** Clocks of two machines may differ by this much; a leave that is older than the claim by more than that was before it. */
export const CLOCK_DIFFERENCE_MS_MAX = 60_000

/**
 * When a join or leave happened. The bot tells of a change as it sees it, so a time that is far from when the stream took it in is that of a wrong
 * clock: the stream's counts. An outside bot may tell hours later, but of nothing that is still to come.
 */
export function movedAt (saidAt: number, storedAt: number, observedBy: 'roster' | 'webhook'): number {
  if (observedBy === 'roster' && Math.abs(saidAt - storedAt) > CLOCK_DIFFERENCE_MS_MAX) return storedAt
  return Math.min(saidAt, storedAt)
}

/**
 * A late copy of a join or leave that was already decided on: not later in the stream, and not later in time. Both, because a stream that was
 * lost counts from 1 again, and a clock can be set back. Seen: nats-server killed between a decision and its acknowledgement delivers the leave
 * again after the return.
 */
function isOld (claim: Claim, movement: Movement): boolean {
  return claim.status !== 'none' && claim.moved !== undefined && movement.sequence <= claim.moved.sequence && movement.at <= claim.moved.at
}

export function decide (claim: Claim, command: Command): Decision {
  switch (command.type) {
    case 'Request': return request(claim, command)
    case 'ServerReady':
      if (claim.status === 'none' || claim.claimId !== command.claimId) return rejected('NOT_CURRENT')
      if (claim.status === 'creating') return happens({ type: 'Activated', server: command.server })
      return claim.status === 'failed' ? rejected('NOT_CURRENT') : nothing
    case 'ServerFailed':
      if (claim.status === 'none' || claim.claimId !== command.claimId) return rejected('NOT_CURRENT')
      if (claim.status === 'creating') return happens({ type: 'Failed', code: command.code, step: command.step })
      return claim.status === 'failed' ? nothing : rejected('NOT_CURRENT')
    case 'ServerDeleted':
      if (claim.status === 'none' || claim.claimId !== command.claimId) return rejected('NOT_CURRENT')
      if (claim.status === 'deleted') return nothing
      if (claim.status !== 'deleting' || claim.departure.deleteJobId !== command.deleteJobId) return rejected('NOT_CURRENT')
      return happens({ type: 'Deleted', deleteJobId: command.deleteJobId, userDeleted: command.userDeleted })
    case 'Leave': {
      // Left again: the first due time stands. Nothing to take back: nothing to decide.
      if (claim.status !== 'active' && !(claim.status === 'creating' && !claim.departure)) return nothing
      const { movement } = command
      if (isOld(claim, movement) || movement.at < claim.askedAt - CLOCK_DIFFERENCE_MS_MAX) return nothing
      const deleteJobId = `${claim.claimId}-d${claim.departures + 1}`
      return happens({ type: 'DeletionScheduled', reason: 'left', departure: { deleteJobId, leftAt: movement.at, dueAt: dueAt(movement.at, command.now, command.graceMs) }, movement })
    }
    case 'Return': {
      const departure = standing(claim)
      if (!departure || departure.evenIfPresent || isOld(claim, command.movement)) return nothing
      return happens({ type: 'DeletionCancelled', deleteJobId: departure.deleteJobId, reason: 'returned', movement: command.movement })
    }
    case 'RefuteDeletion': {
      const departure = standing(claim)
      if (departure?.deleteJobId !== command.deleteJobId || departure.evenIfPresent) return nothing
      return happens({ type: 'DeletionCancelled', deleteJobId: command.deleteJobId, reason: 'present', movement: undefined })
    }
    case 'RescheduleDeletion': {
      const departure = standing(claim)
      if (departure?.deleteJobId !== command.deleteJobId || command.until <= departure.dueAt) return nothing
      const { heldFrom: _, ...rest } = departure
      return happens({ type: 'DeletionScheduled', reason: 'outage', departure: { ...rest, dueAt: command.until }, movement: undefined })
    }
    case 'ConfirmDeletion': return confirm(claim, command)
    case 'Retry':
    case 'Delete':
    case 'Hold':
    case 'Release':
    case 'Extend': return operate(claim, command)
    case 'Erase': {
      if (claim.status === 'none') return nothing
      if (command.claimId !== undefined && command.claimId !== claim.claimId) return rejected('NOT_CURRENT')
      if (claim.status !== 'failed' && claim.status !== 'deleted') return rejected('HAS_SERVER')
      const { claimId, departures, memberId } = claim
      return happens({ type: 'Erased', memberId, claims: [...claim.former, { claimId, departures }], reason: command.reason })
    }
  }
}

function request (claim: Claim, command: Command & { type: 'Request' }): Decision {
  const sameTap = claim.status !== 'none' && (claim.claimId === command.claimId || (claim.idempotencyKeyHash !== undefined && claim.idempotencyKeyHash === command.idempotencyKeyHash))
  if (sameTap) return nothing
  if (command.isClosed) return rejected('CLAIMS_CLOSED')
  switch (claim.status) {
    case 'none':
    case 'failed':
    case 'deleted': return happens(requested(command))
    case 'active': return rejected('ALREADY_CLAIMED')
    case 'creating': return rejected(claim.departure ? 'LEAVING' : 'ALREADY_CLAIMED')
    case 'leaving':
    case 'deleting': return rejected('LEAVING')
  }
}

function requested ({ now, claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash }: Asked & { now: number }): ClaimEvent {
  return { type: 'Requested', at: now, claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash }
}

function confirm (claim: Claim, { deleteJobId, absentAt, now, evenIfPresent = false }: Command & { type: 'ConfirmDeletion' }): Decision {
  if (claim.status === 'deleting' && claim.departure.deleteJobId === deleteJobId) return nothing
  if (claim.status === 'creating' && claim.departure?.deleteJobId === deleteJobId) return rejected('STILL_CREATING')
  if (claim.status !== 'leaving' || claim.departure.deleteJobId !== deleteJobId) return rejected('NOT_CURRENT')
  if (now - absentAt > CONFIRMATION_AGE_MS_MAX) return rejected('STALE_CONFIRMATION')
  // Whoever was not looked for is not known to be absent.
  if (evenIfPresent && !claim.departure.evenIfPresent) return rejected('NOT_CURRENT')
  // Clocks differ a little; what is due much later was moved since.
  const tooEarlyMs = claim.departure.dueAt - now
  if (tooEarlyMs > 0) return rejected(tooEarlyMs > CLOCK_DIFFERENCE_MS_MAX ? 'NOT_CURRENT' : 'NOT_DUE')
  return happens({ type: 'DeletionStarted', deleteJobId })
}

/**
 * What an operator asks for. A retry is an ordinary request under a new id, of a member who is in the group: one that failed before leaves nothing
 * behind, so there is one living claim as ever. The rest is a departure with another due time; from there on a deletion goes its ordinary way.
 */
function operate (claim: Claim, command: Operation): Decision {
  if (claim.status === 'none' || claim.claimId !== command.claimId) return rejected('NOT_CURRENT')
  if (command.type === 'Retry') return retry(claim, command)
  if (command.type === 'Delete') return deleteNow(claim, command)
  if (claim.status === 'deleting') return rejected('DELETION_STARTED')
  const departure = standing(claim)
  if (!departure) return rejected('NOT_SCHEDULED')
  const { deleteJobId, leftAt, dueAt: until } = departure
  const before = departure.heldFrom ?? until
  /** It is an ordinary deletion again, whatever was ordered before. */
  const moved = (operation: 'hold' | 'release' | 'extend', time: number, held: { heldFrom?: number } = {}): Decision =>
    time - leftAt > DELAYED_MS_MAX ? rejected('TOO_FAR') : happens({ type: 'DeletionScheduled', reason: 'operator', operation, departure: { deleteJobId, leftAt, dueAt: time, ...held }, movement: undefined })
  switch (command.type) {
    case 'Hold': return command.until > until ? moved('hold', command.until, { heldFrom: before }) : rejected('NOT_LATER')
    case 'Release': return departure.heldFrom === undefined || command.now >= until ? rejected('NOT_HELD') : moved('release', Math.max(before + RELEASED_LATER_MS, command.now + Math.min(command.graceMs, WARNING_MS_MIN)))
    case 'Extend': return moved('extend', Math.max(before, command.now) + command.byMs)
  }
}

function retry (claim: Claim & Made, { nextClaimId, templateVersion = claim.templateVersion, seen, now }: Operation & { type: 'Retry' }): Decision {
  if (claim.status !== 'failed') return rejected('NOT_FAILED')
  const { memberId, waJid, language, username, template } = claim
  if (username === undefined || template === undefined || templateVersion === undefined) return rejected('REQUEST_LOST')
  if (seen !== 'present') return rejected(seen === 'absent' ? 'NOT_MEMBER' : 'MEMBERSHIP_UNKNOWN')
  return happens(requested({ now, claimId: nextClaimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash: undefined }))
}

function deleteNow (claim: Claim & Made, { evenIfPresent, seen, now }: Operation & { type: 'Delete' }): Decision {
  if (claim.status === 'failed') return rejected('NO_SERVER')
  if (claim.status === 'deleting' || claim.status === 'deleted') return nothing
  const departure = standing(claim)
  if (departure && departure.dueAt <= now && (departure.evenIfPresent ?? false) === evenIfPresent) return nothing
  if (!evenIfPresent && seen !== 'absent') return rejected(seen === 'present' ? 'MEMBER_PRESENT' : 'MEMBERSHIP_UNKNOWN')
  const job = departure ?? { deleteJobId: `${claim.claimId}-d${claim.departures + 1}`, leftAt: now }
  return happens({
    type: 'DeletionScheduled', reason: 'operator', operation: 'delete', movement: undefined,
    departure: { deleteJobId: job.deleteJobId, leftAt: job.leftAt, dueAt: now, ...(evenIfPresent ? { evenIfPresent } : {}) },
  })
}

/** The departure that can still be taken back. */
function standing (claim: Claim): Departure | undefined {
  return claim.status === 'leaving' || claim.status === 'creating' ? claim.departure : undefined
}

/** Total: a fact cannot be refused. A fact that does not fit the state changes nothing. */
export function evolve (claim: Claim, event: ClaimEvent): Claim {
  if (event.type === 'Requested') {
    const { claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash, at: askedAt } = event
    const moved = claim.status === 'none' ? undefined : claim.moved
    return { claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash, departures: 0, askedAt, moved, former: formerOf(claim), status: 'creating', departure: undefined }
  }
  if (event.type === 'Restored') return restored(claim, event)
  if (claim.status === 'none') return claim
  switch (event.type) {
    case 'Activated': {
      if (claim.status !== 'creating') return claim
      const { departure } = claim
      return departure ? { ...made(claim), status: 'leaving', server: event.server, departure } : { ...made(claim), status: 'active', server: event.server }
    }
    case 'Failed':
      return claim.status === 'creating' ? { ...made(claim), status: 'failed', code: event.code } : claim
    case 'DeletionScheduled': {
      const { departure } = event
      const departures = Math.max(claim.departures, numberOf(departure.deleteJobId))
      const moved = event.movement ?? claim.moved
      if (claim.status === 'active') return { ...claim, status: 'leaving', departures, departure, moved }
      return claim.status === 'creating' || claim.status === 'leaving' ? { ...claim, departures, departure, moved } : claim
    }
    case 'DeletionCancelled':
      if (claim.status === 'creating') return { ...claim, departure: undefined, moved: event.movement ?? claim.moved }
      return claim.status === 'leaving' ? { ...made(claim), status: 'active', server: claim.server, moved: event.movement ?? claim.moved } : claim
    case 'DeletionStarted':
      return claim.status === 'leaving' ? { ...claim, status: 'deleting' } : claim
    case 'Deleted':
      return claim.status === 'deleting' ? { ...made(claim), status: 'deleted' } : claim
    case 'Erased':
      return { status: 'none' }
    default:
      return event satisfies never
  }
}

function restored (claim: Claim, { status, at, server, code, claimId, memberId, waJid, language, departures, movement }: Restored): Claim {
  const known = { claimId, memberId, waJid, language, departures, former: formerOf(claim), askedAt: at, moved: movement, username: undefined, template: undefined, templateVersion: undefined, idempotencyKeyHash: undefined }
  if (status === 'active') return server ? { ...known, status, server } : claim
  return status === 'failed' ? { ...known, status, code } : { ...known, status }
}

/** The earlier claims of a member who makes another. */
function formerOf (claim: Claim): readonly Former[] {
  return claim.status === 'none' ? NO_FORMER : [...claim.former, { claimId: claim.claimId, departures: claim.departures }].slice(-FORMER_MAX)
}

const numberOf = (deleteJobId: string): number => Number(deleteJobId.slice(deleteJobId.lastIndexOf('-d') + 2))

function made (claim: Made): Made {
  const { claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash, departures, askedAt, moved, former } = claim
  return { claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash, departures, askedAt, moved, former }
}
