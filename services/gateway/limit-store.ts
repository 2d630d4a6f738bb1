// The store of @fastify/rate-limit: counts that all gateways share, in NATS.
//
// Windows are fixed, and every counted name has its own place in the minute, so that not everybody is let in again at the same moment.
// Nothing is read before it is written: one message adds one and is answered with the sum, so a name that everybody asks for is no
// harder to count than another. This process counts along. Where NATS does not answer in time, its own count decides, on top of what it
// last heard of the others; what NATS was not told meanwhile is added to the next count that it is told.
//
// Subjects and memory hold keyed pseudonyms only: a phone number can be found from its plain hash by trying all of them.
import { createHmac, createSecretKey } from 'node:crypto'
import type { FastifyRateLimitOptions, FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { LruMap } from 'toad-cache'
import type { Counters } from '../common/counters.ts'

export interface LimitStoreOptions {
  readonly counters: Counters
  /** The same for every gateway. */
  readonly key: Uint8Array
  readonly now: () => Date
  /** Told whether a count was shared, and with what it failed where it should have been. */
  readonly onCounted: (how: 'shared' | 'alone', error?: unknown) => void
}

/** How long a request waits for the shared count. It takes a millisecond while NATS is well. */
export const WAIT_MS_MAX = 250
/** After one that did not come, NATS is left alone: of many requests at once only the first ones wait. */
const REST_MS = 1_000
/** Names remembered in this process for each kind of limit, some 20 MB in all; beyond, those counted longest ago are forgotten. */
export const REMEMBERED_MAX = 50_000

interface Count {
  own: number
  /** What other gateways had counted when it was last heard. */
  others: number
  /** Counted here while there was no connection. */
  untold: number
}

/** Which window a time is in, for a name whose windows begin `offsetMs` later than the clock's, and how long it lasts still. */
export function windowAt (nowMs: number, windowMs: number, offsetMs: number): { number: number, leftMs: number } {
  const number = Math.floor((nowMs - offsetMs) / windowMs)
  return { number, leftMs: (number + 1) * windowMs + offsetMs - nowMs }
}

export function createLimitStore ({ counters, key, now, onCounted }: LimitStoreOptions): FastifyRateLimitStoreCtor {
  // As bytes, it would cost six times as much for each count.
  const secret = createSecretKey(key)
  let restsUntil = 0

  /** The sum over all gateways, or undefined where it is not known in time. */
  async function shared (subject: string, count: Count): Promise<number | undefined> {
    if (!counters.isReachable() || performance.now() < restsUntil) {
      count.untold += 1
      onCounted('alone')
      return undefined
    }
    const by = 1 + count.untold
    // Taken back by nobody: a count that was not acknowledged may have been stored.
    count.untold = 0
    try {
      const total = await counters.add(subject, by, WAIT_MS_MAX)
      onCounted('shared')
      return total
    } catch (error) {
      restsUntil = performance.now() + REST_MS
      onCounted('alone', error)
      return undefined
    }
  }

  return class LimitStore implements FastifyRateLimitStore {
    readonly #kind: string
    readonly #counts = new LruMap<Count>(REMEMBERED_MAX)

    constructor ({ groupId = 'all' }: FastifyRateLimitOptions & { groupId?: string }) {
      this.#kind = groupId
    }

    incr (name: string, answer: (error: Error | null, result?: { current: number, ttl: number }) => void, windowMs: number): void {
      this.#count(name, windowMs).then((result) => { answer(null, result) }, answer)
    }

    child (options: FastifyRateLimitOptions): FastifyRateLimitStore {
      return new LimitStore(options)
    }

    async #count (name: string, windowMs: number): Promise<{ current: number, ttl: number }> {
      const digest = createHmac('sha256', secret).update(`${this.#kind}:${name}`).digest()
      const { number, leftMs } = windowAt(now().getTime(), windowMs, digest.readUInt32BE() % windowMs)
      const subject = `limits.${this.#kind}.${number}.${digest.toString('base64url').slice(0, 22)}`
      const count = this.#counts.get(subject) ?? { own: 0, others: 0, untold: 0 }
      this.#counts.set(subject, count)
      const own = ++count.own
      const total = await shared(subject, count)
      if (total !== undefined) count.others = Math.max(count.others, total - own)
      return { current: Math.max(own, total ?? own + count.others), ttl: leftMs }
    }
  }
}
