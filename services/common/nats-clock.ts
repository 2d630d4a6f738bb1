// How far our clock is from NATS's, the one clock that every service can see. A clock that is wrong does no harm by itself: whoever decides
// something that cannot be taken back asks here first.
//
// Between two measurements NATS's time goes on by our monotonic clock, so a step of the time of day, by NTP or by hand, shows at once.
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** The clocks of two machines may differ by this much. Beyond it, one of the two is wrong. */
export const SKEW_MS_MAX = 60_000
const MEASURE_EVERY_MS = 10_000
/** An answer that took longer says too little. */
const ROUND_TRIP_MS_MAX = 5_000

export interface NatsClock {
  /** How far our clock is ahead of NATS's, negative where it is behind; null until it could be measured. */
  skewMs (): number | null
  /** One of the two clocks is wrong, and nobody can tell which. */
  isSkewed (): boolean
  /** Our own time, or NATS's where the two differ by more than clocks do. */
  now (): Date
  stop (): void
}

export interface NatsClockOptions {
  /** Asks NATS for its time, epoch ms. */
  readonly ask: () => Promise<number>
  readonly now: () => Date
  readonly log: Log
  readonly metrics: Metrics
}

/** The server's own time, epoch ms, which it says in its answers; the client's types do not know of it (3.4.0). NaN where it says none. */
export const timeIn = (answer: object): number => Date.parse((answer as { ts?: string }).ts ?? '')

/** Resolves when the first measurement was tried. */
export async function startNatsClock ({ ask, now, log, metrics }: NatsClockOptions): Promise<NatsClock> {
  let measured: { readonly natsMs: number, readonly monotonicMs: number } | undefined
  let wasSkewed = false
  const skewMs = (): number | null => measured ? now().getTime() - (measured.natsMs + performance.now() - measured.monotonicMs) : null
  const isSkewed = (): boolean => Math.abs(skewMs() ?? 0) > SKEW_MS_MAX

  async function measure (): Promise<void> {
    const askedAt = performance.now()
    try {
      const natsMs = await ask()
      const tookMs = performance.now() - askedAt
      if (tookMs <= ROUND_TRIP_MS_MAX && Number.isFinite(natsMs)) measured = { natsMs, monotonicMs: askedAt + tookMs / 2 }
    } catch {
      log.debug('the clock of NATS could not be read')
    }
    metrics.clockSkew.set((skewMs() ?? 0) / 1_000)
    if (isSkewed() && !wasSkewed) log.error({ code: 'CLOCK_SKEWED', skew_ms: Math.round(skewMs() ?? 0) }, 'our clock and that of NATS differ: nothing is deleted until they agree')
    if (!isSkewed() && wasSkewed) log.info('our clock and that of NATS agree again')
    wasSkewed = isSkewed()
  }

  await measure()
  const timer = setInterval(() => { void measure() }, MEASURE_EVERY_MS)
  timer.unref()
  return {
    skewMs, isSkewed,
    now: () => {
      const own = now()
      return isSkewed() ? new Date(own.getTime() - (skewMs() ?? 0)) : own
    },
    stop: () => { clearInterval(timer) },
  }
}
