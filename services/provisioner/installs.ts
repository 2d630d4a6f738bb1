// Every claim that waits for its install is asked about in one call (100 to a page), so that waiting costs the same for one as for fifty.
import { transient } from '../common/fault.ts'
import { stopping } from './panel-budget.ts'

/** `late`: still installing after the deadline, as the panel said then. `missing`: the panel listed the others and not this one. */
export type InstallOutcome = 'installed' | 'failed' | 'missing' | 'late'

export interface Installs {
  /** Transient Fault PANEL_DOWN and the like once the panel has been unreadable for `patienceMs`; STOPPING on abort. */
  wait (uuid: string, deadlineAt: number, signal: AbortSignal): Promise<InstallOutcome>
  /** How many wait. */
  pending (): number
}

export interface InstallsOptions {
  /** Statuses of those that exist, of at most 100. */
  readonly read: (uuids: readonly string[], signal: AbortSignal) => Promise<Map<string, string | null>>
  /** Asked anew before each wait. */
  readonly everyMs: () => number
  readonly patienceMs: number
  readonly now: () => number
  readonly signal: AbortSignal
}

interface Waiter { readonly uuid: string, readonly deadlineAt: number, readonly settle: (outcome: InstallOutcome) => void, readonly refuse: (error: unknown) => void }

const PAGE = 100
/** Of the panel's limit. 240 calls a minute, as a new panel allows, are a look every 3 s. */
const SHARE_MAX = 1 / 12
/** A look takes a worker of the panel some 20 ms and more, whatever its limit is. */
const EVERY_MS_MIN = 250

/**
 * How often a panel with this limit for each window may be asked about installs. All servers that are done within an interval are seen in the same moment, and their
 * claims hold each other up: the more claims a panel takes, the shorter the interval has to be. `limit`: null where it is not known.
 */
export const lookEveryMs = (atMostMs: number, limit: number | null, windowMs: number): number => limit === null ? atMostMs : Math.min(atMostMs, Math.max(EVERY_MS_MIN, windowMs / (limit * SHARE_MAX)))

/** So many who came since the last look do not wait for the next: a panel takes many creates at the begin of a window, and all their servers would be seen in the same moment. */
export const NEWCOMERS_MAX = 5
/** But a look is never sooner after the one before than this share of the interval. */
const HURRY = 1 / 6

export function createInstalls ({ read, everyMs, patienceMs, now, signal }: InstallsOptions): Installs {
  const waiters = new Set<Waiter>()
  let timer: NodeJS.Timeout | undefined
  let failingSince: number | null = null
  let newcomers = 0
  let isAsking = false
  /** By `performance.now()`. */
  let askedAt = -Infinity

  function pollLater (): void {
    if (waiters.size === 0 || isAsking || signal.aborted) return
    // Once, by the newcomer who makes them enough.
    if (timer === undefined || newcomers === NEWCOMERS_MAX) {
      clearTimeout(timer)
      timer = setTimeout(() => void poll(), newcomers < NEWCOMERS_MAX ? everyMs() : Math.max(0, askedAt + everyMs() * HURRY - performance.now()))
    }
  }

  async function poll (): Promise<void> {
    isAsking = true
    newcomers = 0
    askedAt = performance.now()
    // Who comes while the call is under way is not in its question.
    const asked = [...waiters]
    try {
      const uuids = [...new Set(asked.map(({ uuid }) => uuid))]
      for (let first = 0; first < uuids.length; first += PAGE) {
        const page = new Set(uuids.slice(first, first + PAGE))
        const statuses = await read([...page], signal)
        failingSince = null
        for (const waiter of asked) if (page.has(waiter.uuid)) judge(waiter, statuses)
      }
    } catch (error) {
      failingSince ??= now()
      if (now() - failingSince >= patienceMs) {
        failingSince = null
        for (const waiter of asked) waiter.refuse(error instanceof Error ? error : transient('PANEL_DOWN', 'the installs cannot be read'))
      }
    } finally {
      isAsking = false
      timer = undefined
      pollLater()
    }
  }

  function judge ({ uuid, deadlineAt, settle }: Waiter, statuses: Map<string, string | null>): void {
    const status = statuses.get(uuid)
    if (status === undefined) settle('missing')
    else if (status === null) settle('installed')
    else if (status === 'install_failed' || status === 'reinstall_failed') settle('failed')
    // Decided only on what the panel says now: a panel that could not be asked must not make an install late.
    else if (now() >= deadlineAt) settle('late')
  }

  return {
    wait: async (uuid, deadlineAt, own) => await new Promise<InstallOutcome>((resolve, reject) => {
      const leave = (): void => {
        waiters.delete(waiter)
        own.removeEventListener('abort', stopped)
        if (waiters.size === 0) {
          clearTimeout(timer)
          timer = undefined
          newcomers = 0
        }
      }
      const stopped = (): void => { leave(); reject(stopping()) }
      const waiter: Waiter = { uuid, deadlineAt, settle: (outcome) => { leave(); resolve(outcome) }, refuse: (error) => { leave(); reject(error as Error) } }
      if (own.aborted) return reject(stopping())
      own.addEventListener('abort', stopped, { once: true })
      waiters.add(waiter)
      newcomers++
      pollLater()
    }),
    pending: () => waiters.size,
  }
}
