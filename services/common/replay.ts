// Answers the operator's request to handle a dead letter again: contracts/replay.ts says why it goes this way.
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import type { ServiceName } from '../../contracts/define.ts'
import { ClaimId, MemberId } from '../../contracts/ids.ts'
import { REPLAYS, type ReplayAnswer, type ReplayDefinition, type ReplayQuestion } from '../../contracts/replay.ts'
import type { Bus, Responder } from './bus.ts'
import type { Subscription } from './consume.ts'
import { attributesOf, validatorOf } from './envelope.ts'
import { codeOf } from './fault.ts'
import type { Log } from './log.ts'
import { onWord } from './operations.ts'

const IN_HAND_MAX = 8

export interface Replays {
  /** From now on until `remove` this process handles what comes back to a consumer. */
  add: (consumer: string, subscription: Subscription) => void
  remove: (consumer: string, subscription: Subscription) => void
  /** Undefined where the service has no consumer. */
  readonly responder: Responder | undefined
}

export function createReplays (service: ServiceName, bus: Pick<Bus, 'publish'>, log: Log): Replays {
  const definition = REPLAYS.get(service)
  const subscriptions = new Map<string, Subscription>()
  const inHand = new Set<string>()

  async function answer ({ consumer, sequence, deliveries, subject, headers: given, body_base64: body, by, why = 'not said' }: ReplayQuestion): Promise<ReplayAnswer> {
    const subscription = subscriptions.get(consumer)
    if (!subscription) return { ok: false, rejection: 'NOT_CONSUMED' }
    const key = `${consumer}:${sequence}`
    if (inHand.has(key) || inHand.size >= IN_HAND_MAX) return { ok: false, rejection: 'BUSY' }
    inHand.add(key)
    const h = headers()
    for (const [name, value] of given) h.append(name, value)
    const data = Buffer.from(body, 'base64')
    try {
      return await onWord(bus, { request: definition as ReplayDefinition, by, why, about: aboutIn(h, data), detail: `message ${sequence} for ${consumer}` }, async (): Promise<ReplayAnswer> => {
        try {
          const isHandled = await subscription.replay({ subject, headers: h, data, sequence, count: deliveries + 1 })
          log.info({ decision: 'dead_letter.replayed', consumer, sequence, by, is_handled: isHandled }, 'a dead letter was replayed')
          return isHandled ? { ok: true } : { ok: false, rejection: 'NOT_CONSUMED' }
        } catch (error) {
          log.error({ decision: 'dead_letter.replayed', consumer, sequence, by, code: codeOf(error), err: error }, 'a dead letter was replayed and failed again')
          return { ok: false, rejection: 'FAILED', code: codeOf(error) }
        }
      })
    } finally {
      inHand.delete(key)
    }
  }

  return {
    add: (consumer, subscription) => { subscriptions.set(consumer, subscription) },
    // A newer one may have taken its place.
    remove: (consumer, subscription) => { if (subscriptions.get(consumer) === subscription) subscriptions.delete(consumer) },
    responder: definition && { definition, answer },
  }
}

/** Of a message without a claim it is not known whether the ledger knows its member, and then nothing about them is stored. */
function aboutIn (h: MsgHdrs, data: Uint8Array): { memberId: string, claimId: string } | undefined {
  const { correlation: claimId } = attributesOf(h)
  try {
    const { member_id: memberId } = JSON.parse(new TextDecoder().decode(data)) as { member_id?: unknown }
    return validatorOf(ClaimId).Check(claimId) && validatorOf(MemberId).Check(memberId) ? { memberId: memberId as string, claimId } : undefined
  } catch {
    return undefined
  }
}
