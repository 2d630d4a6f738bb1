// Waiting for something that is looked for again and again, with an end.
import { setTimeout as delay } from 'node:timers/promises'

export interface Patience { readonly patienceMs: number, readonly everyMs?: number, readonly signal: AbortSignal }

/** Answers what `look` found, undefined where it found nothing in time. What a look throws is over with that look, or is passed on where `passes` says so. Rejects when the signal fires. */
export async function waitFor<Found> ({ patienceMs, everyMs = 1_000, signal }: Patience, look: () => Promise<Found | undefined>, passes: (error: unknown) => boolean = () => false): Promise<Found | undefined> {
  for (const until = performance.now() + patienceMs; ;) {
    try {
      const found = await look()
      if (found !== undefined) return found
    } catch (error) {
      if (passes(error)) throw error
    }
    const leftMs = until - performance.now()
    if (leftMs <= 0) return undefined
    await delay(Math.min(everyMs, leftMs), undefined, { signal })
  }
}
