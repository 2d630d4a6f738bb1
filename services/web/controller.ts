// Carries out what machine.ts asks for: sends, looks, remembers, and listens to the browser. One per page.
import type { ClaimClient } from './claim-client.ts'
import { claimIdOf, IDLE, next, waitMs, type Event, type Form, type State } from './machine.ts'

const REMEMBERED = 'claim_id'
const CLAIM_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** A claim that is ready is looked at again when somebody comes back to it, but not at each change of tabs. */
const FRESH_MS = 20_000

export interface Controller {
  readonly subscribe: (listener: () => void) => () => void
  readonly state: () => State
  readonly submit: (form: Form) => void
  /** Forgets the claim that is shown, and offers the form. */
  readonly startOver: () => void
  readonly resume: (claimId: string) => void
  /** Of this browser: a claim that could be shown. */
  readonly remembered: () => string | undefined
  /** Looks at the address and at the browser's memory; call once the page can draw. Returns how to stop. */
  readonly start: () => () => void
}

export function createController (client: ClaimClient): Controller {
  const listeners = new Set<() => void>()
  let state: State = IDLE
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Answers to questions that were asked before this number changed come too late. */
  let round = 0
  let isAsking = false
  let askedAtMs = 0

  function dispatch (event: Event): void {
    const before = state
    state = next(state, event, Date.now())
    const claimId = claimIdOf(state)
    if (claimId !== claimIdOf(before) || state.name === 'IDLE') {
      round++
      isAsking = false
    }
    if (claimId !== undefined && claimId !== claimIdOf(before)) show(claimId)
    if (state.name === 'ERROR' && state.of === 'claim' && state.progress === undefined) forget()
    if (state !== before) for (const listener of listeners) listener()
    plan()
  }

  function plan (): void {
    clearTimeout(timer)
    if (isAsking) return
    const wait = waitMs(state, Date.now(), document.hidden)
    // Without a connection the event `online` plans again.
    if (wait === undefined || !navigator.onLine) return
    timer = setTimeout(() => { void ask() }, Math.max(0, state.name === 'PROCESSING' && wait > 0 ? wait - (Date.now() - askedAtMs) : wait))
  }

  async function ask (): Promise<void> {
    clearTimeout(timer)
    const asked = ++round
    isAsking = true
    askedAtMs = Date.now()
    const claimId = claimIdOf(state)
    const event = state.name === 'SUBMITTING' ? await client.send(state.form, state.key) : claimId === undefined ? undefined : await client.look(claimId)
    if (asked !== round) return
    isAsking = false
    if (event === undefined) return
    askedAtMs = Date.now()
    dispatch(event)
  }

  function lookNow (): void {
    if (isAsking) return
    if (state.name === 'SUBMITTING') plan()
    else if (claimIdOf(state) !== undefined && navigator.onLine) void ask()
  }

  /** The address and the memory name the claim, so that reload, back, a link and another tab find it. */
  function show (claimId: string): void {
    remember(claimId)
    if (claimInAddress() !== claimId) history.pushState(null, '', `?claim=${claimId}`)
  }

  function onStorage (event: StorageEvent): void {
    if (event.key === REMEMBERED && event.newValue !== null && CLAIM_ID.test(event.newValue)) dispatch({ type: 'CLAIMED_ELSEWHERE', claimId: event.newValue })
  }
  function onPopState (): void {
    const claimId = claimInAddress()
    dispatch(claimId === undefined ? { type: 'START_OVER' } : { type: 'RESUME', claimId })
  }
  function onVisibility (): void {
    if (!document.hidden && claimIdOf(state) !== undefined && (state.name === 'PROCESSING' || Date.now() - askedAtMs > FRESH_MS)) lookNow()
    else plan()
  }
  function onPageShow (event: PageTransitionEvent): void {
    if (event.persisted) lookNow()
  }

  return {
    subscribe: (listener) => {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    state: () => state,
    submit: (form) => { dispatch({ type: 'SUBMIT', form, freshKey: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}` }) },
    startOver: () => {
      forget()
      if (claimInAddress() !== undefined) history.pushState(null, '', location.pathname)
      dispatch({ type: 'START_OVER' })
    },
    resume: (claimId) => { dispatch({ type: 'RESUME', claimId }) },
    remembered,
    start: () => {
      const listening: ReadonlyArray<readonly [EventTarget, string, (event: never) => void]> = [
        [window, 'storage', onStorage], [window, 'popstate', onPopState], [window, 'pageshow', onPageShow], [window, 'online', lookNow], [document, 'visibilitychange', onVisibility],
      ]
      for (const [target, type, listener] of listening) target.addEventListener(type, listener as EventListener)
      const claimId = claimInAddress() ?? remembered()
      if (claimId !== undefined) {
        // In place: going back must lead to where the visitor came from.
        if (claimInAddress() === undefined) history.replaceState(null, '', `?claim=${claimId}`)
        dispatch({ type: 'RESUME', claimId })
      }
      return () => {
        clearTimeout(timer)
        round++
        for (const [target, type, listener] of listening) target.removeEventListener(type, listener as EventListener)
      }
    },
  }
}

export function claimInAddress (): string | undefined {
  const claimId = new URLSearchParams(location.search).get('claim') ?? ''
  return CLAIM_ID.test(claimId) ? claimId : undefined
}

// A browser may refuse its memory (private windows, full disks); then the address alone carries the claim.
function remembered (): string | undefined {
  try {
    const claimId = localStorage.getItem(REMEMBERED) ?? ''
    return CLAIM_ID.test(claimId) ? claimId : undefined
  } catch {
    return undefined
  }
}
function remember (claimId: string): void {
  try { localStorage.setItem(REMEMBERED, claimId) } catch { /* see above */ }
}
function forget (): void {
  try { localStorage.removeItem(REMEMBERED) } catch { /* see above */ }
}
