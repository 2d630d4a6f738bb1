import { Fault } from './fault.ts'

export interface RetryPolicy {
  /** After this many deliveries the message goes to the dead letters. */
  readonly deliveriesMax: number
  readonly delayMsFirst: number
  readonly delayMsMax: number
}

export type Disposition = { kind: 'retry', delayMs: number } | { kind: 'dead-letter', reason: string }

/**
 * What becomes of a message whose handler threw. A bug is retried too, because a new version may mend it, and bounded like everything.
 * The delay is ours to count: a nak without a delay ignores the consumer's backoff and burns every try in milliseconds (nats-server 2.15.1).
 */
export function disposition (error: unknown, deliveryCount: number, policy: RetryPolicy): Disposition {
  if (error instanceof Fault && error.kind === 'permanent') return { kind: 'dead-letter', reason: error.code }
  if (deliveryCount >= policy.deliveriesMax) return { kind: 'dead-letter', reason: 'DELIVERIES_EXHAUSTED' }
  const backoffMs = Math.min(policy.delayMsFirst * 2 ** Math.min(deliveryCount - 1, 30), policy.delayMsMax)
  const askedMs = error instanceof Fault ? error.retryAfterMs ?? 0 : 0
  return { kind: 'retry', delayMs: Math.max(backoffMs, askedMs) }
}
