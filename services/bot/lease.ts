// Only one process may use the linked device: a second login evicts the first, and their Signal ratchets drift apart. The lease is one entry
// that its holder rewrites (compare-and-set) every sixth of its length. A candidate takes it over after watching it stand still for the whole
// length, by its own clock; the holder gives up a fifth of the length earlier. No clocks are compared.
//
//   waiting ──created, own, or unchanged for leaseMs──▶ held ──renewed in time──▶ held
//      ▲                                            └── not renewed for 4/5 of leaseMs, or taken ──▶ lost
//      └───────────────── acquire() again ◀── released ◀── release() ◀── held
import { setTimeout as delay } from 'node:timers/promises'
import type { Bucket } from '../common/bucket.ts'
import type { Log } from '../common/log.ts'

export interface Term {
  /** False from the moment somebody else could become the holder, with a margin; asked before anything is sent or stored. */
  isHeld: () => boolean
  /** Fires when the lease is lost, before it can be taken by another; never after `release`. */
  readonly lost: AbortSignal
  /** Gives the lease away, so that a standby need not wait for it. */
  release (): Promise<void>
}

export interface LeaseOptions { readonly bucket: Bucket, readonly holder: string, readonly leaseMs: number, readonly log: Log }

const KEY = 'session'
/** Monotonic, unlike the time of day. */
const now = (): number => performance.now()

/** Waits until the lease is ours. `holder` is this process's name and nobody else's, the same in each of its terms, which never overlap. Rejects only when `signal` fires. */
export async function acquireLease ({ bucket, holder, leaseMs, log }: LeaseOptions, signal: AbortSignal): Promise<Term> {
  const pollMs = Math.max(20, Math.floor(leaseMs / 10))
  const watched = { revision: -1, since: 0 }
  let waiting = false
  while (true) {
    signal.throwIfAborted()
    const askedAt = now()
    try {
      const entry = await bucket.get(KEY)
      if (watched.revision !== (entry?.revision ?? 0)) Object.assign(watched, { revision: entry?.revision ?? 0, since: now() })
      // What still says our own name was lost while NATS was away, and taken by nobody.
      const revision = !entry || entry.text() === '' || entry.text() === holder
        ? entry ? await bucket.update(KEY, holder, entry.revision) : await bucket.create(KEY, holder)
        : askedAt - watched.since >= leaseMs ? await bucket.update(KEY, holder, entry.revision) : null
      if (revision !== null) return hold({ bucket, holder, leaseMs, log }, revision, askedAt)
      if (entry && !waiting) {
        waiting = true
        log.info('another bot holds the session; this one stands by')
      }
    } catch (error) {
      log.warn({ err: error }, 'the lease cannot be read')
    }
    await delay(pollMs, undefined, { signal })
  }
}

function hold ({ bucket, holder, leaseMs, log }: LeaseOptions, acquired: number, acquiredAt: number): Term {
  const lost = new AbortController()
  let revision = acquired
  let renewedAt = acquiredAt
  let released = false
  let renewing: Promise<void> = Promise.resolve()
  const isHeld = (): boolean => !released && !lost.signal.aborted && now() - renewedAt < leaseMs * 0.8

  const renewal = setInterval(() => { renewing = renewing.then(renew) }, leaseMs / 6)
  const watch = setInterval(() => { if (!isHeld()) lose('the lease was not renewed in time') }, Math.max(10, leaseMs / 30))

  async function renew (): Promise<void> {
    if (released || lost.signal.aborted) return
    const askedAt = now()
    try {
      const next = await bucket.update(KEY, holder, revision)
      if (next === null) return await recover(askedAt)
      revision = next
      renewedAt = askedAt
    } catch (error) {
      log.warn({ err: error }, 'the lease was not renewed')
    }
  }

  /** An update whose answer was lost has changed the revision: the entry is still ours if it says so. */
  async function recover (askedAt: number): Promise<void> {
    const entry = await bucket.get(KEY)
    if (entry?.text() !== holder) return lose('another bot has taken the lease')
    revision = entry.revision
    renewedAt = Math.min(askedAt, renewedAt)
  }

  function stop (): void {
    clearInterval(renewal)
    clearInterval(watch)
  }

  function lose (why: string): void {
    if (released || lost.signal.aborted) return
    stop()
    log.error({ why }, 'the lease is lost')
    lost.abort()
  }

  return {
    isHeld,
    lost: lost.signal,
    release: async () => {
      if (released) return
      const mine = isHeld()
      released = true
      stop()
      await renewing
      // An empty entry rather than none: a compare-and-set cannot delete what another has taken meanwhile.
      if (mine) await bucket.update(KEY, '', revision).catch(() => null)
    },
  }
}
