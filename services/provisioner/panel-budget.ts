// Who may call the panel, and when. The panel counts all our calls in a fixed window from the first one (240 a minute on 1.11, 256 later);
// it says how many are left in every answer, so nothing is assumed but the window's length. Deletions go before polls, polls before creates,
// and creates may not touch what is kept for the others.
import { transient } from '../common/fault.ts'

export type Lane = 'delete' | 'poll' | 'create'
/** `server` is POST /servers, which keeps a panel worker waiting for Wings. */
export type Kind = 'server' | 'other'

export interface Heard { readonly limit?: number | undefined, readonly remaining?: number | undefined, readonly retryAfterMs?: number | undefined }

export interface Ticket {
  /** The answer came; without `heard` it was lost, or came from somebody in front of the panel. */
  done (heard?: Heard): void
  /** The call did not go out after all: its place is free again. */
  unused (): void
  /** The panel did not take the call: everybody waits a while, then one tries. */
  away (code: 'PANEL_DOWN' | 'PANEL_KEY_REFUSED'): void
}

export interface PanelBudget {
  /** Waits for a turn. Transient Fault PANEL_DOWN or PANEL_KEY_REFUSED after `patienceMs` of the panel being away, STOPPING on abort. */
  admit (lane: Lane, kind: Kind, signal: AbortSignal): Promise<Ticket>
  /** How many calls are left in this window, as far as we know; null before the first answer. */
  remaining (): number | null
  /** Of a window, as the panel's last answer said it; null before the first. */
  limit (): number | null
  /** Why nobody gets through at the moment; null where the panel answers. */
  awayBecause (): 'PANEL_DOWN' | 'PANEL_KEY_REFUSED' | null
}

export interface BudgetOptions {
  readonly concurrency: Readonly<Record<Kind, number>>
  readonly windowMs: number
  readonly patienceMs: number
  readonly now: () => number
}

const KINDS: readonly Kind[] = ['server', 'other']
const LANES: readonly Lane[] = ['delete', 'poll', 'create']
/** Share of the limit that a lane leaves to those before it, at the begin of a window; what they have not needed goes to it as the window passes. */
const KEPT: Readonly<Record<Lane, number>> = { delete: 0.02, poll: 0.06, create: 0.2 }
/** Never used by us: for others who use the same administrator. */
const KEPT_MIN = KEPT.delete
/** So often in a window it is looked whether more may go. */
const RELEASES = 60
const UNKNOWN_MAX = 4
const BACKOFF_MS_FIRST = 1_000
const BACKOFF_MS_MAX = 15_000
/** The panel's cache counts whole seconds. */
const WINDOW_SLACK_MS = 1_000
/** Answers overtake each other by at most as many as are under way; more means that the panel's window is a new one. */
const REORDER_MAX = 32

interface Waiting { readonly kind: Kind, readonly since: number, readonly grant: (ticket: Ticket) => void, readonly refuse: (error: unknown) => void }

export function createPanelBudget ({ concurrency, windowMs, patienceMs, now }: BudgetOptions): PanelBudget {
  const queues: Record<Lane, Set<Waiting>> = { delete: new Set(), poll: new Set(), create: new Set() }
  const underWay: Record<Kind, number> = { server: 0, other: 0 }
  let limit: number | null = null
  let used = 0
  let windowEndsAt: number | null = null
  let pausedUntil = 0
  let away: { code: 'PANEL_DOWN' | 'PANEL_KEY_REFUSED', backoffMs: number, isTrying: boolean } | null = null
  let timer: NodeJS.Timeout | undefined

  const inFlight = (): number => underWay.server + underWay.other

  /** `promised`: calls that others have a better right to. */
  function mayGo (lane: Lane, promised = 0): boolean {
    if (away?.isTrying) return false
    // Before the first answer of all, a few calls find out the limit.
    if (limit === null) return inFlight() < UNKNOWN_MAX
    // Whatever is kept, one call goes: by none we would never hear of a better limit.
    return used + promised < Math.max(1, limit - Math.max(1, Math.ceil(limit * keptNow(lane))))
  }

  function keptNow (lane: Lane): number {
    const left = windowEndsAt === null ? 1 : Math.min(1, Math.max(0, (windowEndsAt - now()) / windowMs))
    return KEPT_MIN + (KEPT[lane] - KEPT_MIN) * left
  }

  /** Claims that have their account come before those that have none: a call that is left in this window is theirs. Otherwise all accounts of a crowd would be made before its first server. */
  const serversWaiting = (lane: Lane): number => lane === 'create' ? queues.create.values().reduce((sum, { kind }) => sum + (kind === 'server' ? 1 : 0), 0) : 0

  function pump (): void {
    const time = now()
    if (windowEndsAt !== null && time >= windowEndsAt) {
      windowEndsAt = null
      used = inFlight()
    }
    loseThePatient(time)
    if (time >= pausedUntil) for (const lane of LANES) {
      let servers = serversWaiting(lane)
      for (const waiting of queues[lane]) {
        if (!mayGo(lane) || KINDS.every((kind) => underWay[kind] >= concurrency[kind])) break
        if (underWay[waiting.kind] >= concurrency[waiting.kind]) continue
        if (waiting.kind === 'other' && !mayGo(lane, servers)) continue
        if (waiting.kind === 'server') servers--
        queues[lane].delete(waiting)
        waiting.grant(ticketOf(waiting.kind))
      }
    }
    wakeLater(time)
  }

  function loseThePatient (time: number): void {
    if (away === null) return
    for (const lane of LANES) {
      for (const waiting of queues[lane]) {
        if (time - waiting.since < patienceMs) continue
        queues[lane].delete(waiting)
        waiting.refuse(transient(away.code, 'the panel is away'))
      }
    }
  }

  function wakeLater (time: number): void {
    clearTimeout(timer)
    const waiting = LANES.flatMap((lane) => [...queues[lane]])
    if (waiting.length === 0) return
    const times = [windowEndsAt === null ? Infinity : Math.min(windowEndsAt, time + windowMs / RELEASES)]
    if (pausedUntil > time) times.push(pausedUntil)
    if (away !== null) times.push(Math.min(...waiting.map(({ since }) => since)) + patienceMs)
    const at = Math.min(...times)
    if (Number.isFinite(at)) timer = setTimeout(pump, Math.max(1, at - time))
  }

  function ticketOf (kind: Kind): Ticket {
    underWay[kind]++
    used++
    if (away !== null) away.isTrying = true
    let isOpen = true
    const close = (settle: () => void, isSent = true): void => {
      if (!isOpen) return
      isOpen = false
      underWay[kind]--
      settle()
      // From the first answer rather than the first call: the panel's window began in between, so ours ends later. No answer counts, too: otherwise what is tried while the panel is away would be used up for ever.
      if (isSent) windowEndsAt ??= now() + windowMs + WINDOW_SLACK_MS
      pump()
    }
    return {
      done: (heard) => {
        close(() => {
          if (heard !== undefined) hear(heard)
          else if (away !== null) away.isTrying = false
        })
      },
      unused: () => {
        close(() => {
          used--
          if (away !== null) away.isTrying = false
        }, false)
      },
      away: (code) => {
        close(() => {
          // Calls that were under way together are one failure, not several.
          const isAnother = away !== null && !away.isTrying && now() < pausedUntil
          const backoffMs = away === null ? BACKOFF_MS_FIRST : isAnother ? away.backoffMs : Math.min(away.backoffMs * 2, BACKOFF_MS_MAX)
          away = { code, backoffMs, isTrying: false }
          pausedUntil = now() + backoffMs
        })
      },
    }
  }

  function hear ({ limit: newLimit, remaining, retryAfterMs }: Heard): void {
    away = null
    const time = now()
    if (newLimit !== undefined && remaining !== undefined) {
      limit = newLimit
      const counted = newLimit - remaining + inFlight()
      if (counted < used - REORDER_MAX) {
        used = counted
        windowEndsAt = time + windowMs + WINDOW_SLACK_MS
      } else {
        used = Math.max(used, counted)
      }
    } else if (limit === null) {
      // A panel that has no limit says nothing about one.
      limit = Number.MAX_SAFE_INTEGER
    }
    if (retryAfterMs !== undefined) {
      pausedUntil = Math.max(pausedUntil, time + retryAfterMs)
      windowEndsAt = pausedUntil
    }
  }

  return {
    admit: async (lane, kind, signal) => await new Promise<Ticket>((resolve, reject) => {
      const stopped = (): void => {
        queues[lane].delete(waiting)
        wakeLater(now())
        reject(stopping())
      }
      const waiting: Waiting = {
        kind, since: now(),
        grant: (ticket) => { signal.removeEventListener('abort', stopped); resolve(ticket) },
        refuse: (error) => { signal.removeEventListener('abort', stopped); reject(error as Error) },
      }
      if (signal.aborted) return reject(stopping())
      signal.addEventListener('abort', stopped, { once: true })
      queues[lane].add(waiting)
      pump()
    }),
    awayBecause: () => away?.code ?? null,
    limit: () => limit,
    remaining: () => limit === null ? null : Math.max(0, limit - used),
  }
}

export const stopping = (): Error => transient('STOPPING', 'the provisioner stops; the message is handed back')
