// When the group is read: after connecting, soon after any sign of change, every few minutes, and at once where a deletion hangs on it.
// Readings are the proof of life too: a connection that is open and leaves them unanswered is deaf.
import { setTimeout as delay } from 'node:timers/promises'
import { codeOf, Fault, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { Announcer } from './announcer.ts'
import type { Reading } from './roster.ts'

export interface ReaderOptions {
  /** Throws WHATSAPP_RATE_LIMITED, WHATSAPP_NOT_IN_GROUP, or anything else for "no answer". */
  readonly readGroup: () => Promise<Reading>
  readonly announcer: Announcer
  readonly everyMs: number
  readonly debounceMs: number
  readonly gapMsMin: number
  readonly missesMax: number
  /** Called when so many readings in a row were not answered. */
  readonly onDeaf: () => void
  readonly log: Log
}

export interface RosterReader {
  /** Something may have changed: read soon, once for many signs. */
  hint (): void
  /** Resolves when a reading that began after this call was taken in. Rejects with a transient Fault. */
  readAnew (): Promise<void>
  /** Epoch ms of the last answer of any kind; null before the first. */
  answeredAt (): number | null
  stop (): void
}

const BACKOFF_MS_FIRST = 15_000
const BACKOFF_MS_MAX = 10 * 60_000

/** For one connection; reads at once. */
export function startReader ({ readGroup, announcer, everyMs, debounceMs, gapMsMin, missesMax, onDeaf, log }: ReaderOptions): RosterReader {
  const stopping = new AbortController()
  let running: Promise<void> | null = null
  let following: Promise<void> | null = null
  let hinted: NodeJS.Timeout | undefined
  let regular: NodeJS.Timeout | undefined
  let startedAt = -Infinity
  let answeredAt: number | null = null
  let misses = 0
  let limitedInARow = 0
  let silentUntil = 0

  function start (): Promise<void> {
    running = (async () => {
      try {
        await read()
      } finally {
        running = null
        if (!stopping.signal.aborted) plan()
      }
    })()
    return running
  }

  async function read (): Promise<void> {
    const waitMs = startedAt + gapMsMin - performance.now()
    if (waitMs > 0) await delay(waitMs, undefined, { signal: stopping.signal })
    if (Date.now() < silentUntil) throw transient('WHATSAPP_RATE_LIMITED', 'WhatsApp has asked for fewer questions')
    startedAt = performance.now()
    let reading: Reading
    try {
      reading = await readGroup()
      answered()
      limitedInARow = 0
    } catch (error) {
      noted(error)
      throw error
    }
    await announcer.take(reading)
  }

  function answered (): void {
    misses = 0
    answeredAt = Date.now()
  }

  function noted (error: unknown): void {
    const code = error instanceof Fault ? error.code : ''
    if (code === 'WHATSAPP_RATE_LIMITED') {
      answered()
      silentUntil = Date.now() + Math.min(BACKOFF_MS_FIRST * 2 ** Math.min(limitedInARow++, 20), BACKOFF_MS_MAX)
    } else if (code === 'WHATSAPP_NOT_IN_GROUP') {
      answered()
      announcer.removed()
      log.error('the bot is not in the group: nobody can be told to be in it or not')
    } else if (!stopping.signal.aborted && ++misses >= missesMax) {
      log.error({ misses }, 'the connection is deaf')
      onDeaf()
    }
  }

  /** After a reading that was not answered the next comes sooner, so that deafness is found in less than a period. */
  function plan (): void {
    clearTimeout(regular)
    const isDoubtful = misses > 0 || announcer.belief().suspicion !== null
    regular = setTimeout(() => { quietly(soonest()) }, isDoubtful ? Math.max(everyMs / 4, gapMsMin) : everyMs)
  }

  /** One reading at a time; whoever asks during one shares the next. */
  function soonest (): Promise<void> {
    if (!running) return start()
    following ??= running.catch(() => {}).then(() => {
      following = null
      return start()
    })
    return following
  }

  function quietly (reading: Promise<void>): void {
    reading.catch((error: unknown) => {
      if (!stopping.signal.aborted) log.warn({ code: codeOf(error), err: error }, 'the group was not read')
    })
  }

  quietly(soonest())
  return {
    hint: () => {
      if (stopping.signal.aborted) return
      hinted ??= setTimeout(() => {
        hinted = undefined
        quietly(soonest())
      }, debounceMs)
    },
    readAnew: async () => {
      if (stopping.signal.aborted) throw transient('WHATSAPP_CLOSED', 'not connected to WhatsApp')
      await soonest()
    },
    answeredAt: () => answeredAt,
    stop: () => {
      stopping.abort()
      clearTimeout(hinted)
      clearTimeout(regular)
    },
  }
}
