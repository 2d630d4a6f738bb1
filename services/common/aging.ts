// Overwrites what is about to go by its age. The age of a stream takes messages out of its index and leaves their bytes in the block until that is
// full or empty, which on a quiet system is years (measured on nats-server 2.15.1): too late to overwrite them then.
import type { Bus } from './bus.ts'
import { eraseMessages } from './erase-stream.ts'
import { every, type Rhythm } from './every.ts'
import { codeOf } from './fault.ts'
import type { Log } from './log.ts'

export interface Ageing { readonly stream: string, readonly filter: string, /** What NATS takes away after so long. */ readonly maxAgeMs: number }

/** Somebody has to be running on one of these days. */
const EARLIER_MS = 2 * 24 * 3_600_000
const EVERY_MS = 3_600_000

/** At once and every hour. */
export function startAging ({ bus, what, now, log }: { bus: Pick<Bus, 'raw'>, what: readonly Ageing[], now: () => Date, log: Log }): Rhythm {
  async function round (signal: AbortSignal): Promise<void> {
    for (const { stream, filter, maxAgeMs } of what) {
      if (signal.aborted) return
      try {
        const erased = await eraseMessages(bus, { stream, filter, storedBefore: new Date(now().getTime() - maxAgeMs + EARLIER_MS) })
        if (erased > 0) log.info({ stream, erased }, 'old messages are erased')
      } catch (error) {
        log.warn({ stream, code: codeOf(error) }, 'old messages are not all erased yet')
      }
    }
  }

  return every(EVERY_MS, round, { atOnce: true })
}
