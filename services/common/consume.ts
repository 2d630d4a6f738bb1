// The loop between JetStream and a handler: decode, keep alive, acknowledge after the effect, back off, bury.
import type { Consumer, ConsumerMessages, JetStreamClient, JsMsg } from '@nats-io/jetstream'
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import pLimit from 'p-limit'
import type { Static, TObject } from 'typebox'
import type { EventDefinition } from '../../contracts/define.ts'
import { DEAD_LETTER_HEADERS, deadSubject } from '../../contracts/events/dead-letters.ts'
import type { ConsumerDefinition } from '../../contracts/streams.ts'
import type { CauseCheck } from './causation.ts'
import { disposition } from './disposition.ts'
import { decodeEvent, type Event } from './envelope.ts'
import { codeOf } from './fault.ts'
import type { Log } from './log.ts'
import { fromZero, MESSAGE_RESULTS, type Metrics } from './metrics.ts'
import { processing } from './tracing.ts'

/** What a handler may know of the delivery, beside the event. */
export interface Delivery {
  readonly sequence: number
  /** 1 for the first. */
  readonly count: number
  /** Subject of the schedule that produced this message, where the NATS scheduler did. */
  readonly scheduler: string | undefined
  readonly subject: string
  /** When the server stored it, by the server's clock. Of a dead letter that is replayed: when it was said. */
  readonly storedAt: Date
}

export interface Handler { readonly definition: EventDefinition, readonly handle: (event: Event, delivery: Delivery) => Promise<void> }

/** `handle` resolves when the effect is done. It may be called again with the same event, and while it runs nobody else gets it. */
export function on<Schema extends TObject> (definition: EventDefinition<Schema>, handle: (event: Event<Schema>, delivery: Delivery) => Promise<void>): Handler {
  return { definition, handle: handle as Handler['handle'] }
}

/** A message as it stands on its stream. */
export interface Stored { readonly subject: string, readonly headers: MsgHdrs | undefined, readonly data: Uint8Array, readonly sequence: number, readonly count: number, readonly storedAt?: Date }

export interface Subscription {
  /**
   * One more try of a message that is no longer delivered, because it became a dead letter; checked like every message, and in its turn.
   * False: nobody here handles it. Throws what the handler throws.
   */
  replay: (message: Stored) => Promise<boolean>
  /** When what was delivered here and is not done was stored, epoch ms by sequence. What others have done meanwhile, the reader takes out. */
  readonly undone: Map<number, number>
  /** Takes no more, waits for what is in hand. */
  stop: () => Promise<void>
}

const HANDED_BACK_DELAY_MS = 5_000
const RESUBSCRIBE_DELAY_MS = 1_000
/** What is asked of a node that is lost is never answered: after twice this long without a sign of life from the consumer it is asked anew. The client's own 15 s left members waiting for a minute. */
const HEARTBEAT_MS = 2_000
/** Ten times what is ever in work at once; the oldest are what is asked about. */
const UNDONE_MAX = 10_000

/** What a log line about a message says of it. */
interface EventFacts { readonly event_id?: string, readonly claim_id?: string | undefined, readonly member_id?: string | undefined }

export interface ConsumeOptions { readonly js: JetStreamClient, readonly definition: ConsumerDefinition, readonly handlers: readonly Handler[], readonly checkCause: CauseCheck, readonly log: Log, readonly metrics: Metrics }

export function consume ({ js, definition, handlers, checkCause, log, metrics }: ConsumeOptions): Subscription {
  const { name: consumer, stream } = definition
  const inHand = new Set<Promise<unknown>>()
  /** The server keeps this limit too, but knows nothing of replays. */
  const inTurn = pLimit(definition.atOnce ?? definition.maxAckPending)
  const undone = new Map<number, number>()
  let messages: ConsumerMessages | undefined
  let stopping = false

  async function receive (): Promise<void> {
    while (!stopping) {
      try {
        const source: Consumer = await js.consumers.get(stream, consumer)
        // `bind`: anew without asking first whether the consumer is there, which between two leaders fails and is then put off for 30 s (client 3.4.0).
        messages = await source.consume({ max_messages: Math.min(definition.maxAckPending, 200), idle_heartbeat: HEARTBEAT_MS, bind: true })
        // Closed before anyone reads from it, its iterator would never end (client 3.4.0).
        if (stopping) {
          void messages.close()
          break
        }
        for await (const message of messages) {
          const work = treat(message).finally(() => inHand.delete(work))
          inHand.add(work)
        }
      } catch (error) {
        log.warn({ consumer, code: codeOf(error) }, 'consumer is away')
      }
      if (!stopping) await new Promise((resolve) => setTimeout(resolve, RESUBSCRIBE_DELAY_MS))
    }
  }

  /** False where nobody here handles such a message. `onKnown` learns what it is about before anything can fail. */
  async function handle ({ subject, headers, data, sequence, count, storedAt }: Stored, onKnown: (about: EventFacts) => void): Promise<boolean> {
    const decoded = decodeEvent(definition.events, { subject, headers, data })
    const handler = decoded && handlers.find((candidate) => candidate.definition.type === decoded.definition.type)
    if (!decoded || !handler) return false
    const { id, correlation, data: { member_id } } = decoded.event as Event & { data: { member_id?: string } }
    onKnown({ event_id: id, claim_id: correlation, member_id })
    await inTurn(async () => await processing(decoded.definition, decoded.event, { consumer, count, now: Date.now() }, async () => {
      await checkCause(decoded.definition, decoded.event, count)
      await handler.handle(decoded.event, { sequence, count, scheduler: headers?.get('Nats-Scheduler') || undefined, subject, storedAt: storedAt ?? decoded.event.time })
    }))
    return true
  }

  /** Never throws: every message is acknowledged, handed back with a delay, or buried. */
  async function treat (message: JsMsg): Promise<void> {
    const { info: { deliveryCount: delivery }, seq: sequence } = message
    const alive = setInterval(() => { message.working() }, definition.ackWaitMs / 3)
    const finished = metrics.handling.startTimer({ consumer })
    if (undone.size < UNDONE_MAX) undone.set(sequence, message.time.getTime())
    let about: EventFacts = {}
    try {
      const stored = { subject: message.subject, headers: message.headers, data: message.data, sequence, count: delivery, storedAt: message.time }
      if (!await handle(stored, (facts) => { about = facts })) {
        // A process of an older version shares the durable during a rollout: the message is for its successor.
        message.nak(HANDED_BACK_DELAY_MS)
        metrics.messages.inc({ consumer, result: 'handed_back' })
        return
      }
      metrics.messages.inc({ consumer, result: 'done' })
      await message.ackAck()
      undone.delete(sequence)
    } catch (error) {
      await settle(message, error, { consumer, sequence, delivery, ...about })
    } finally {
      clearInterval(alive)
      finished()
    }
  }

  async function settle (message: JsMsg, error: unknown, facts: EventFacts & { consumer: string, sequence: number, delivery: number }): Promise<void> {
    const fate = disposition(error, facts.delivery, definition)
    try {
      if (fate.kind === 'retry') {
        message.nak(fate.delayMs)
        metrics.messages.inc({ consumer, result: 'retried' })
        log.warn({ decision: 'event.postponed', ...facts, code: codeOf(error), delay_ms: fate.delayMs, err: error }, 'message will be tried again')
        return
      }
      await bury(js, message, definition, fate.reason, facts.delivery)
      undone.delete(message.seq)
      metrics.messages.inc({ consumer, result: 'dead' })
      log.error({ decision: 'event.buried', ...facts, code: codeOf(error), reason: fate.reason, err: error }, 'message is a dead letter')
    } catch (failure) {
      log.warn({ ...facts, code: codeOf(failure), err: failure }, 'message could not be settled and comes again')
    }
  }

  async function replay (message: Stored): Promise<boolean> {
    if (stopping) return false
    const work = handle(message, () => {})
    // Whoever asked learns of a failure; stopping only waits for the end.
    const settled = work.catch(() => {}).finally(() => inHand.delete(settled))
    inHand.add(settled)
    const isHandled = await work
    metrics.messages.inc({ consumer, result: isHandled ? 'replayed' : 'handed_back' })
    return isHandled
  }

  fromZero(metrics.messages, MESSAGE_RESULTS.map((result) => ({ consumer, result })))
  const receiving = receive()
  async function end (): Promise<void> {
    stopping = true
    await messages?.close()
    await Promise.all([receiving, ...inHand])
  }
  let ended: Promise<void> | undefined
  return {
    replay, undone,
    // Once: closing the messages a second time never returns (client 3.4.0).
    stop: async () => { await (ended ??= end()) },
  }
}

/** Stores the dead letter first, then ends the message: dying in between buries it twice under the same id, which stores once. */
async function bury (js: JetStreamClient, message: JsMsg, definition: ConsumerDefinition, reason: string, deliveries: number): Promise<void> {
  const h = headers()
  for (const [name, values] of message.headers ?? []) {
    // What would make the server act on the copy is left behind.
    if (!name.toLowerCase().startsWith('nats-')) for (const value of values) h.append(name, value)
  }
  h.set(DEAD_LETTER_HEADERS.reason, reason)
  h.set(DEAD_LETTER_HEADERS.subject, message.subject)
  h.set(DEAD_LETTER_HEADERS.stream, definition.stream)
  h.set(DEAD_LETTER_HEADERS.sequence, String(message.seq))
  h.set(DEAD_LETTER_HEADERS.consumer, definition.name)
  h.set(DEAD_LETTER_HEADERS.deliveries, String(deliveries))
  h.set(DEAD_LETTER_HEADERS.at, new Date().toISOString())
  await js.publish(deadSubject(message.subject), message.data, { headers: h, msgID: `dead:${definition.stream}:${definition.name}:${message.seq}` })
  message.term(reason)
}

export type EventData<Definition> = Definition extends EventDefinition<infer Schema> ? Static<Schema> : never
