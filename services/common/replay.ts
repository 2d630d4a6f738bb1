// Answers the operator's request to handle a dead letter again: contracts/replay.ts says why it goes this way.
import { headers } from '@nats-io/transport-node'
import type { ServiceName } from '../../contracts/define.ts'
import { REPLAYS, type ReplayAnswer, type ReplayQuestion } from '../../contracts/replay.ts'
import type { Responder } from './bus.ts'
import type { Subscription } from './consume.ts'
import { codeOf } from './fault.ts'
import type { Log } from './log.ts'

const IN_HAND_MAX = 8

export interface Replays {
  /** From now on until `remove` this process handles what comes back to a consumer. */
  add: (consumer: string, subscription: Subscription) => void
  remove: (consumer: string, subscription: Subscription) => void
  /** Undefined where the service has no consumer. */
  readonly responder: Responder | undefined
}

export function createReplays (service: ServiceName, log: Log): Replays {
  const subscriptions = new Map<string, Subscription>()
  const inHand = new Set<string>()

  async function answer ({ consumer, sequence, deliveries, subject, headers: given, body_base64: body, by }: ReplayQuestion): Promise<ReplayAnswer> {
    const subscription = subscriptions.get(consumer)
    if (!subscription) return { ok: false, rejection: 'NOT_CONSUMED' }
    const key = `${consumer}:${sequence}`
    if (inHand.has(key) || inHand.size >= IN_HAND_MAX) return { ok: false, rejection: 'BUSY' }
    inHand.add(key)
    try {
      const h = headers()
      for (const [name, value] of given) h.append(name, value)
      const isHandled = await subscription.replay({ subject, headers: h, data: Buffer.from(body, 'base64'), sequence, count: deliveries + 1 })
      log.info({ consumer, sequence, by, isHandled }, 'a dead letter was replayed')
      return isHandled ? { ok: true } : { ok: false, rejection: 'NOT_CONSUMED' }
    } catch (error) {
      log.error({ consumer, sequence, by, code: codeOf(error), err: error }, 'a dead letter was replayed and failed again')
      return { ok: false, rejection: 'FAILED', code: codeOf(error) }
    } finally {
      inHand.delete(key)
    }
  }

  const definition = REPLAYS.get(service)
  return {
    add: (consumer, subscription) => { subscriptions.set(consumer, subscription) },
    // A newer one may have taken its place.
    remove: (consumer, subscription) => { if (subscriptions.get(consumer) === subscription) subscriptions.delete(consumer) },
    responder: definition && { definition, answer },
  }
}
