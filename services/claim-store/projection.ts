// What the ledger says, in memory: every claim as the outside sees it, and each member's claim as decisions need it.
import { evolve, type Claim } from './claim.ts'
import { lasting, read, viewed } from './record.ts'
import { claimErased } from '../../contracts/events/claims.ts'
import type { ClaimView } from '../../contracts/requests.ts'

/** An event of the ledger at its place. `time`: RFC 3339 in UTC with milliseconds, as `Date` writes it. */
export interface LedgerRecord { readonly id: string, readonly type: string, readonly time: string, readonly sequence: number, readonly data: { readonly member_id: string } }

/** A member's newest claim and the sequence of its newest event; 0 where there is none. */
export interface MemberState { readonly claim: Claim, readonly sequence: number, readonly lastEventId: string | undefined }

const NOBODY: MemberState = { claim: { status: 'none' }, sequence: 0, lastEventId: undefined }

export class Projection {
  readonly #views = new Map<string, ClaimView>()
  readonly #members = new Map<string, MemberState>()
  /** Members known from the book alone: enough to answer questions, not to decide. */
  readonly #summaries = new Map<string, ClaimView>()
  readonly #listeners: Array<(view: ClaimView) => void> = []
  readonly #forgetters: Array<(claimId: string) => void> = []

  onChange (listener: (view: ClaimView) => void): void {
    this.#listeners.push(listener)
  }

  /** Told of each claim that was erased. */
  onForgotten (listener: (claimId: string) => void): void {
    this.#forgetters.push(listener)
  }

  /** Takes a claim over from the book. */
  adopt (view: ClaimView): void {
    this.#views.set(view.claim_id, view)
    const known = this.#summaries.get(view.member_id)
    if (!known || known.created_at < view.created_at) this.#summaries.set(view.member_id, view)
  }

  /** Idempotent, and blind to what is older than what it knows of the member. */
  apply (record: LedgerRecord): void {
    const { member_id: memberId } = record.data
    const before = this.#members.get(memberId)
    if (before && record.sequence <= before.sequence) return
    // What is erased needs no history.
    if (!before && this.#summaries.has(memberId) && record.type !== claimErased.type) {
      // The book's summary is behind, and its member must be read anew from the stream before a decision.
      this.#stale.add(memberId)
      return
    }
    this.#advance(memberId, before ?? NOBODY, record)
  }

  readonly #stale = new Set<string>()
  /** Members whose summary is older than the stream. */
  get stale (): ReadonlySet<string> { return this.#stale }

  /**
   * Replaces what is known of a member by the whole history of theirs. `sequence` is that of the newest message on their subjects, which need
   * not be a decision: the next one has to be appended behind it all the same.
   */
  rebuild (memberId: string, records: readonly LedgerRecord[], sequence: number): MemberState {
    const known = this.#members.get(memberId)
    if (sequence === 0 && known?.claim.status === 'none') {
      // The word that the member was erased has gone, too, by its time.
      this.#members.delete(memberId)
      return NOBODY
    }
    if (sequence === 0 || (known && known.sequence >= sequence)) return known ?? NOBODY
    let state = NOBODY
    for (const record of records) state = this.#advance(memberId, state, record)
    if (state.sequence < sequence) this.#members.set(memberId, state = { ...state, sequence })
    this.#summaries.delete(memberId)
    this.#stale.delete(memberId)
    return state
  }

  #advance (memberId: string, before: MemberState, record: LedgerRecord): MemberState {
    // Of most who were erased a replay finds nothing but the word of it, and then there is nothing to look for among all claims.
    const isForgotten = record.type === claimErased.type && (this.#members.has(memberId) || this.#summaries.has(memberId))
    const event = read(record.type, record.data, record.time)
    const claim = evolve(before.claim, event)
    const state = { claim, sequence: record.sequence, lastEventId: record.id }
    this.#members.set(memberId, state)
    if (isForgotten) this.#forget(memberId)
    if (claim !== before.claim && claim.status !== 'none') {
      const view = viewed(claim, lasting(event) ?? this.#views.get(claim.claimId), record.time)
      this.#views.set(claim.claimId, view)
      for (const listener of this.#listeners) listener(view)
    }
    return state
  }

  #forget (memberId: string): void {
    this.#summaries.delete(memberId)
    this.#stale.delete(memberId)
    for (const { claim_id: claimId, member_id } of this.#views.values()) {
      if (member_id !== memberId) continue
      this.#views.delete(claimId)
      for (const forget of this.#forgetters) forget(claimId)
    }
  }

  /** Undefined where the stream has to be asked first. */
  member (memberId: string): MemberState | undefined {
    return this.#members.get(memberId) ?? (this.#summaries.has(memberId) ? undefined : NOBODY)
  }

  view (claimId: string): ClaimView | undefined {
    return this.#views.get(claimId)
  }

  newestOf (memberId: string): ClaimView | undefined {
    const claim = this.#members.get(memberId)?.claim
    return claim && claim.status !== 'none' ? this.#views.get(claim.claimId) : this.#summaries.get(memberId)
  }

  views (): IterableIterator<ClaimView> {
    return this.#views.values()
  }
}
