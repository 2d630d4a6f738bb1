// Looks now and then how far behind the consumers of this process are. At a pace of its own, so that it costs the same however often somebody scrapes.
import type { ConsumerInfo } from '@nats-io/jetstream'
import { backlogAt, type Backlog } from './backlog.ts'
import { every } from './every.ts'
import { codeOf } from './fault.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

const LOOK_EVERY_MS = 15_000

export interface Watched {
  readonly stream: string
  readonly name: string
  /** When what was delivered and is not done was stored, epoch ms by sequence. What lies below the floor is taken out. */
  readonly undone: Map<number, number>
}

export interface ConsumerWatch {
  /** From now on until `remove`. */
  add (consumer: Watched): void
  remove (consumer: Watched): void
  stop (): void
}

export interface ConsumerWatchOptions {
  readonly info: (stream: string, consumer: string) => Promise<ConsumerInfo>
  readonly metrics: Metrics['consumers']
  /** Epoch ms by the clock of NATS, which stamps the messages. */
  readonly now: () => number
  readonly log: Log
  readonly everyMs?: number
}

export function watchConsumers ({ info, metrics, now, log, everyMs = LOOK_EVERY_MS }: ConsumerWatchOptions): ConsumerWatch {
  const watched = new Map<Watched, Backlog | undefined>()
  const { pending, ackPending, redelivered, oldestAge } = metrics
  const labelsOf = ({ stream, name }: Watched): { stream: string, consumer: string } => ({ stream, consumer: name })

  async function look (consumer: Watched): Promise<void> {
    const { stream, name, undone } = consumer
    try {
      const { num_pending, num_ack_pending, num_redelivered, ack_floor: { stream_seq: floor } } = await info(stream, name)
      if (!watched.has(consumer)) return
      for (const sequence of undone.keys()) if (sequence <= floor) undone.delete(sequence)
      watched.set(consumer, backlogAt(watched.get(consumer), { floor, waiting: num_pending + num_ack_pending }, undone, now()))
      const labels = labelsOf(consumer)
      pending.set(labels, num_pending)
      ackPending.set(labels, num_ack_pending)
      redelivered.set(labels, num_redelivered)
    } catch (error) {
      // What was seen last stays: a backlog does not go because NATS is silent.
      log.debug({ consumer: name, code: codeOf(error) }, 'a consumer could not be looked at')
    }
    const backlog = watched.get(consumer)
    if (backlog) oldestAge.set(labelsOf(consumer), backlog.since === null ? 0 : Math.max(0, now() - backlog.since) / 1_000)
  }

  const looking = every(everyMs, async () => { await Promise.all([...watched.keys()].map(look)) })

  return {
    add: (consumer) => {
      watched.set(consumer, undefined)
      void look(consumer)
    },
    remove: (consumer) => {
      watched.delete(consumer)
      // Another process may have taken its place, under the same name.
      if ([...watched.keys()].some(({ name }) => name === consumer.name)) return
      for (const gauge of [pending, ackPending, redelivered, oldestAge]) gauge.remove(labelsOf(consumer))
    },
    stop: () => { void looking.stop() },
  }
}
