import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from './fault.ts'

/** NATS does not answer: it starts anew, takes in changed rights, or its cluster has no leader for some seconds. */
export const isAway = (error: unknown): boolean => error instanceof Fault && error.code === 'NATS_UNAVAILABLE'

export interface Patience {
  /** By `performance.now()`. The first try is made whatever the time. */
  readonly until: number
  readonly everyMs: number
  /** What may pass; everything else is thrown at once. `isAway` without it. */
  readonly isPassing?: (error: unknown) => boolean
}

/** Asks again while what goes wrong may pass, then throws it. For what may be asked twice: a question that was heard, and whose answer was lost, is asked again. */
export async function patiently<Answer> (ask: () => Promise<Answer>, { until, everyMs, isPassing = isAway }: Patience): Promise<Answer> {
  for (;; await delay(everyMs)) {
    try {
      return await ask()
    } catch (error) {
      if (!isPassing(error) || performance.now() >= until) throw error
    }
  }
}
