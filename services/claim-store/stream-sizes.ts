// Looks now and then how full NATS's store is. What it sets aside for each stream and bucket is all that it will ever use, so the limit of the
// whole is the sum of theirs.
import { STORED } from '../../contracts/streams.ts'
import type { Bus } from '../common/bus.ts'
import { every, type Rhythm } from '../common/every.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import type { ClaimStoreMetrics } from './metrics.ts'

const LOOK_EVERY_MS = 15_000

export function watchStreamSizes ({ bus, metrics, log, everyMs = LOOK_EVERY_MS }: { bus: Pick<Bus, 'raw'>, metrics: ClaimStoreMetrics, log: Log, everyMs?: number }): Rhythm {
  async function look (signal: AbortSignal): Promise<void> {
    let [bytes, limit] = [0, 0]
    for (const stream of STORED) {
      if (signal.aborted) return
      const { state, config } = await bus.raw.jsm.streams.info(stream)
      metrics.streamBytes.set({ stream }, state.bytes)
      metrics.streamLimit.set({ stream }, config.max_bytes)
      metrics.streamMessages.set({ stream }, state.messages)
      if (stream === 'DEAD_LETTERS') metrics.deadLetters.set(state.messages)
      bytes += state.bytes
      limit += config.max_bytes
    }
    metrics.storageBytes.set(bytes)
    metrics.storageLimit.set(limit)
  }

  // What was seen last stays until it is seen anew.
  return every(everyMs, async (signal) => { await look(signal).catch((error: unknown) => { log.debug({ code: codeOf(error) }, 'the streams could not be measured') }) }, { atOnce: true })
}
