/** Laravel's limiter: a fixed window from the first hit, one bucket for all keys of an owner. */
export interface RateLimiter {
  /** Counts the hit if the bucket has room. `retryAfterMs` is set when it has not. */
  hit: (owner: string) => { limit: number, remaining: number, retryAfterMs?: number }
  reset: () => void
}

export function createRateLimiter (limits: () => { hitsMax: number, windowMs: number }, now: () => number): RateLimiter {
  const buckets = new Map<string, { hits: number, endsAt: number }>()
  return {
    hit (owner) {
      const { hitsMax, windowMs } = limits()
      const time = now()
      let bucket = buckets.get(owner)
      if (bucket === undefined || bucket.endsAt <= time) {
        bucket = { hits: 0, endsAt: time + windowMs }
        buckets.set(owner, bucket)
      }
      if (bucket.hits >= hitsMax) return { limit: hitsMax, remaining: 0, retryAfterMs: bucket.endsAt - time }
      bucket.hits++
      return { limit: hitsMax, remaining: hitsMax - bucket.hits }
    },
    reset: () => { buckets.clear() }
  }
}
