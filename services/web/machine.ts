// What the claim page is doing, as a pure function of what has happened: IDLE → SUBMITTING → PROCESSING → SUCCESS | ERROR.
// Components only draw the state, controller.ts only carries out what it asks for.
import type { ClaimProgress, ErrorBody } from '../../contracts/http.ts'

export interface Form { readonly wa_number_e164: string, readonly username: string, readonly template: string }

/** A code of the gateway (contracts/codes.ts), or UNREACHABLE: no answer came at all. */
export type ProblemCode = ErrorBody['error']['code'] | 'UNREACHABLE'

export type State =
  | { readonly name: 'IDLE' }
  | { readonly name: 'SUBMITTING', readonly form: Form, readonly key: string, readonly attempt: number }
  | Processing
  | { readonly name: 'SUCCESS', readonly claimId: string, readonly progress: ClaimProgress }
  | FormError
  | ClaimError

export interface Processing {
  readonly name: 'PROCESSING'
  readonly claimId: string
  /** Absent until the first answer. */
  readonly progress?: ClaimProgress
  /** When the claim was made, by this machine's clock. */
  readonly sinceMs: number
  /** Accepted on this page a moment ago: it may not be readable yet. */
  readonly isNew?: true
  /** Looks in a row that got no answer. */
  readonly failures: number
  readonly retryAfterS?: number
  /** Why the visitor is shown this claim although they asked for a new one. */
  readonly notice?: { readonly code: 'ALREADY_CLAIMED' | 'LEAVING', readonly message: string }
}

/** The claim was not made; the form is still there. */
export interface FormError {
  readonly name: 'ERROR'
  readonly of: 'form'
  readonly code: ProblemCode
  readonly message?: string
  readonly field?: string
  /** When it is worth trying again, by this machine's clock. */
  readonly retryAtMs?: number
  readonly form: Form
  readonly key: string
}

/** The claim was made and came to nothing, or is not there (any more). */
export interface ClaimError { readonly name: 'ERROR', readonly of: 'claim', readonly claimId: string, readonly progress?: ClaimProgress }

export type Event =
  | { readonly type: 'SUBMIT', readonly form: Form, readonly freshKey: string }
  | { readonly type: 'ACCEPTED', readonly claimId: string }
  | { readonly type: 'REFUSED', readonly error: ErrorBody['error'] }
  /** No answer, or one that is not the gateway's. */
  | { readonly type: 'UNREACHABLE', readonly claimId?: string, readonly retryAfterS?: number }
  /** A link, the memory of this browser or another tab names a claim. */
  | { readonly type: 'RESUME', readonly claimId: string }
  | { readonly type: 'CLAIMED_ELSEWHERE', readonly claimId: string }
  /** `ageMs`: how old the claim is by the gateway's clock. */
  | { readonly type: 'NEWS', readonly progress: ClaimProgress, readonly ageMs: number, readonly retryAfterS?: number }
  | { readonly type: 'NO_NEWS', readonly claimId: string, readonly retryAfterS?: number }
  | { readonly type: 'NOT_FOUND', readonly claimId: string }
  | { readonly type: 'START_OVER' }

export const IDLE: State = { name: 'IDLE' }

/** After this the page says that nobody needs to wait in front of it. The gateway's messages use the same limit. */
export const LATE_AFTER_MS = 180_000
const ATTEMPTS_MAX = 4
const UNREADABLE_MS_MAX = 15_000

/** After these nobody knows whether the claim was made, so the same form is sent with the same key. */
const UNDECIDED: readonly ProblemCode[] = ['UNREACHABLE', 'UNAVAILABLE', 'INTERNAL']

export function next (state: State, event: Event, nowMs: number): State {
  switch (event.type) {
    case 'SUBMIT':
      if (state.name !== 'IDLE' && !isFormError(state)) return state
      return { name: 'SUBMITTING', form: event.form, key: keyFor(state, event.form) ?? event.freshKey, attempt: 1 }
    case 'ACCEPTED': return state.name === 'SUBMITTING' ? { ...processing(event.claimId, nowMs), isNew: true } : state
    case 'REFUSED': return state.name === 'SUBMITTING' ? refused(state, event.error, nowMs) : state
    case 'UNREACHABLE': return unreachable(state, event)
    case 'RESUME': return claimIdOf(state) === event.claimId || state.name === 'SUBMITTING' ? state : processing(event.claimId, nowMs)
    // A form that was sent, or a claim that is shown, is not taken away from under the visitor's eyes.
    case 'CLAIMED_ELSEWHERE': return state.name === 'IDLE' || isFormError(state) ? processing(event.claimId, nowMs) : state
    case 'NEWS': return event.progress.claim_id === claimIdOf(state) ? told(state, event, nowMs) : state
    case 'NO_NEWS': return state.name === 'PROCESSING' && state.claimId === event.claimId ? looked(state, 0, event.retryAfterS) : state
    case 'NOT_FOUND':
      if (claimIdOf(state) !== event.claimId) return state
      if (state.name === 'PROCESSING' && state.isNew === true && nowMs - state.sinceMs < UNREADABLE_MS_MAX) return looked(state, state.failures + 1)
      return { name: 'ERROR', of: 'claim', claimId: event.claimId }
    case 'START_OVER': return state.name === 'SUBMITTING' ? state : IDLE
  }
}

const isFormError = (state: State): state is FormError => state.name === 'ERROR' && state.of === 'form'

export const claimIdOf = (state: State): string | undefined => 'claimId' in state ? state.claimId : undefined

function processing (claimId: string, nowMs: number): Processing {
  return { name: 'PROCESSING', claimId, sinceMs: nowMs, failures: 0 }
}

function keyFor (state: State, form: Form): string | undefined {
  if (!isFormError(state) || !UNDECIDED.includes(state.code)) return undefined
  const isSame = state.form.wa_number_e164 === form.wa_number_e164 && state.form.username === form.username && state.form.template === form.template
  return isSame ? state.key : undefined
}

function refused ({ form, key }: Extract<State, { name: 'SUBMITTING' }>, error: ErrorBody['error'], nowMs: number): State {
  const { code, message, field, claim_id, retry_after } = error
  if ((code === 'ALREADY_CLAIMED' || code === 'LEAVING') && claim_id !== undefined) return { ...processing(claim_id, nowMs), notice: { code, message } }
  return {
    name: 'ERROR', of: 'form', code, message, form, key,
    ...(field === undefined ? {} : { field }),
    ...(retry_after === undefined ? {} : { retryAtMs: nowMs + retry_after * 1_000 }),
  }
}

function unreachable (state: State, event: { readonly claimId?: string, readonly retryAfterS?: number }): State {
  if (state.name === 'SUBMITTING' && event.claimId === undefined) {
    if (state.attempt < ATTEMPTS_MAX) return { ...state, attempt: state.attempt + 1 }
    return { name: 'ERROR', of: 'form', code: 'UNREACHABLE', form: state.form, key: state.key }
  }
  return state.name === 'PROCESSING' && state.claimId === event.claimId ? looked(state, state.failures + 1, event.retryAfterS) : state
}

function looked (state: Processing, failures: number, retryAfterS?: number): Processing {
  const { name, claimId, progress, sinceMs, notice, isNew } = state
  return { name, claimId, sinceMs, failures, ...(progress === undefined ? {} : { progress }), ...(notice === undefined ? {} : { notice }), ...(isNew === undefined ? {} : { isNew }), ...(retryAfterS === undefined ? {} : { retryAfterS }) }
}

function told (state: State, { progress, ageMs, retryAfterS }: Extract<Event, { type: 'NEWS' }>, nowMs: number): State {
  const claimId = progress.claim_id
  if (progress.status === 'active') return { name: 'SUCCESS', claimId, progress }
  if (progress.status === 'failed' || progress.status === 'deleted') return { name: 'ERROR', of: 'claim', claimId, progress }
  const known = state.name === 'PROCESSING' ? state : processing(claimId, nowMs)
  return { ...looked(known, 0, retryAfterS), progress, sinceMs: Math.min(known.sinceMs, nowMs - Math.max(0, ageMs)) }
}

export function isLate (state: State, nowMs: number): boolean {
  return state.name === 'PROCESSING' && state.progress?.status !== 'deleting' && nowMs - state.sinceMs >= LATE_AFTER_MS
}

const LOOK_MS = 3_000
const LOOK_HIDDEN_MS = 10_000
const LOOK_LATE_MS = 15_000
const LOOK_FAILED_MS_MAX = 30_000

/** How long until the next thing is asked of the gateway: sending the form, or looking at the claim. Undefined: nothing is to be asked. */
export function waitMs (state: State, nowMs: number, isHidden: boolean): number | undefined {
  if (state.name === 'SUBMITTING') return state.attempt === 1 ? 0 : 1_000 * 2 ** (state.attempt - 2)
  if (state.name !== 'PROCESSING') return undefined
  if (state.progress === undefined && state.failures === 0) return 0
  return Math.max(
    (state.retryAfterS ?? 0) * 1_000,
    state.failures === 0 ? LOOK_MS : Math.min(LOOK_FAILED_MS_MAX, LOOK_MS * 2 ** (state.failures - 1)),
    isHidden || state.progress?.status === 'deleting' ? LOOK_HIDDEN_MS : 0,
    isLate(state, nowMs) ? LOOK_LATE_MS : 0,
  )
}
