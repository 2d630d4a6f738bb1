// Believes an event only where its cause stands on its own stream. Events of one kind can pile up on a cause's subject (somebody left twice)
// and only the newest is looked at: a newer fact of the same kind about the same member, claim or job proves as much.
import { setTimeout as delay } from 'node:timers/promises'
import type { StoredMsg } from '@nats-io/jetstream'
import { causesOf } from '../../contracts/causes.ts'
import { subjectOf, type EventDefinition } from '../../contracts/define.ts'
import { attributesOf, eventId, type Event } from './envelope.ts'
import { permanent, transient } from './fault.ts'

/** In a cluster any node answers, and it may be some milliseconds behind (see page.ts). */
const LOOKS_MAX = 4
const LOOK_EVERY_MS = 40
/** One that is further behind is waited for; after so many deliveries there is no cause. */
const DELIVERIES_MAX = 4
const LOOK_AGAIN_MS = 500

/** Throws a Fault: MESSAGE_INVALID where an event does not say what led to it, CAUSE_UNKNOWN where that never happened. */
export type CauseCheck = (definition: EventDefinition, event: Event, deliveryCount: number) => Promise<void>

/** `newest` answers the newest message on a subject of a stream, null where there is none. */
export function createCauseCheck (newest: (stream: string, subject: string) => Promise<StoredMsg | null>): CauseCheck {
  return async (definition, { type, causation, data }, deliveryCount) => {
    const causes = causesOf(definition)
    if (causes.length === 0) return
    const cause = causes.find((candidate) => causation?.startsWith(eventId(candidate, '')))
    if (!cause) throw permanent('MESSAGE_INVALID', `${type} does not say what led to it`)
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if (looks > 0) await delay(LOOK_EVERY_MS)
      const message = await newest(cause.stream, subjectOf(cause, data as never))
      if (!message) continue
      const { type: found, author, id } = attributesOf(message.header)
      if (found === cause.type && cause.authors.includes(author) && id.startsWith(eventId(cause, ''))) return
    }
    const words = `${type} names a cause that its stream does not hold`
    throw deliveryCount < DELIVERIES_MAX ? transient('CAUSE_UNKNOWN', words, { retryAfterMs: LOOK_AGAIN_MS }) : permanent('CAUSE_UNKNOWN', words)
  }
}
