// The only door to NATS. Everything else in the services speaks in definitions from contracts/.
import { setTimeout as delay } from 'node:timers/promises'
import { jetstream, jetstreamManager, JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream'
import { ServiceError } from '@nats-io/services'
import { AuthorizationError, headers, RequestError, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Static, TObject, TSchema } from 'typebox'
import { EVENTS } from '../../contracts/catalog.ts'
import { subjectOf, type EventDefinition, type RequestDefinition, type ServiceName } from '../../contracts/define.ts'
import { topologyBucket, type BucketDefinition, type ConsumerDefinition, type StreamDefinition } from '../../contracts/streams.ts'
import { openBucket, type Bucket } from './bucket.ts'
import { createCauseCheck } from './causation.ts'
import { connectNats, type NatsAccess } from './connect.ts'
import { watchConsumers, type Watched } from './consumer-watch.ts'
import { consume, type Handler, type Subscription } from './consume.ts'
import { openCounters, type Counters } from './counters.ts'
import { decodeEvent, encodeEvent, MAC_HEADER, problemsOf, validatorOf, type Event } from './envelope.ts'
import { logEvent } from './event-line.ts'
import { codeOf, Fault, permanent, transient } from './fault.ts'
import type { Log } from './log.ts'
import { fromZero, type Metrics } from './metrics.ts'
import { startNatsClock, timeIn, type NatsClock } from './nats-clock.ts'
import { FAULT_STATUS, register, type Responder } from './registration.ts'
import { createReplays } from './replay.ts'
import { topologyReady } from './topology.ts'
import { asking, publishing, traceparent, type Span } from './tracing.ts'

export interface Said<Schema extends TObject> {
  /** What makes this fact this fact, without the event's name: `<claim_id>`, `<claim_id>:<attempt>`. Saying it again stores nothing. */
  readonly key: string
  readonly data: Static<Schema>
  readonly correlation?: string | undefined
  readonly causation?: string | undefined
  readonly time?: Date
  /** When what led here began, for the duration in the log line. */
  readonly since?: Date
  /** How long the stream keeps it, in seconds (streams with schedules only). */
  readonly ttlS?: number
  /** Takes the schedule on this subject away in the same write. */
  readonly cancelSchedule?: string
  /** Answers a proof of authorship, which is stored with the event in the header `klaim-mac`. */
  readonly sign?: (message: { subject: string, id: string, type: string, time: string, body: string }) => string
}

/** A stored event with where it stands. */
export interface Recorded { readonly event: Event, readonly definition: EventDefinition, readonly sequence: number, /** When the server stored it, by the server's clock. */ readonly storedAt: Date }

export interface Bus {
  /** Stores an event; resolves when the server has it on disk. Transient Fault NATS_UNAVAILABLE. */
  publish<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>): Promise<{ sequence: number, duplicate: boolean }>
  /** Stores an event only if the newest message under `filter` has the sequence `expected` (0: there is none). `conflict`: somebody was first, or our own acknowledgement was lost. */
  append<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>, filter: string, expected: number, withinMs?: number): Promise<{ kind: 'stored', sequence: number, id: string, duplicate: boolean } | { kind: 'conflict', id: string }>
  /** Has the server say an event later. `on` is the subject of the schedule: one schedule per subject, a newer replaces it. */
  schedule<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema> & { at: Date, on: string }): Promise<{ sequence: number }>
  /** The newest message on a subject or filter, checked like any event; null where there is none, or where what is there is no event of these. In a cluster what was stored in the last milliseconds may be missing. */
  last (stream: string, subject: string, definitions: readonly EventDefinition[]): Promise<Recorded | null>
  /** Sequence of the newest message under a literal subject, whatever it holds; 0 where there is none. As `last`, maybe some milliseconds late. */
  lastSequence (stream: string, subject: string): Promise<number>
  consume (definition: ConsumerDefinition, handlers: readonly Handler[]): Subscription
  request<Question extends TSchema, Answer extends TSchema> (definition: RequestDefinition<Question, Answer>, question: Static<Question>): Promise<Static<Answer>>
  /** Answers questions as a NATS service, load-balanced over replicas. Not for an operator. */
  respond (answers: readonly Responder[]): Promise<void>
  bucket (definition: BucketDefinition): Promise<Bucket>
  counters (definition: StreamDefinition): Counters
  /** The raw clients, for adapters that need what is not above (replay, schedule listing). Only files named *stream*, *ledger* or *schedule* use it. */
  readonly raw: { connection: NatsConnection, js: JetStreamClient, jsm: JetStreamManager }
  /** Our clock held against NATS's. */
  readonly clock: NatsClock
  isConnected (): boolean
  /** Stops every subscription, lets what is in hand finish, and drains. */
  close (): Promise<void>
}

export type { Responder } from './registration.ts'
export function answering<Question extends TSchema, Answer extends TSchema> (definition: RequestDefinition<Question, Answer>, answer: (question: Static<Question>) => Promise<Static<Answer>>): Responder {
  return { definition, answer: answer as Responder['answer'] }
}

const WRONG_LAST_SEQUENCE = 10071
const PUBLISH_TIMEOUT_MS = 5_000
/** A service that restarts is back within this. */
const NOBODY_THERE_MS_MAX = 5_000
const NOBODY_THERE_DELAY_MS = 100
const ASK_AGAIN_MS = 4_000
const NOT_NOW_DELAY_MS = 500

export interface BusOptions extends NatsAccess { readonly service: ServiceName, readonly log: Log, readonly metrics: Metrics, readonly now: () => Date }

const refused = (cause: unknown): Fault => permanent('NATS_REFUSED', 'NATS does not accept the credentials of this service', { cause })

/** Connects, waiting for ever for a server and for the streams on it, and reconnects for ever. */
export async function createBus (options: BusOptions): Promise<Bus> {
  const { service, log, metrics, now } = options
  const connection = await connectNats(options, service).catch((error: unknown) => { throw error instanceof AuthorizationError ? refused(error) : error })
  void ended()
  metrics.connected.set(1)
  let connected = true
  void followConnection()
  // Before there are streams: who looks sees who waits for them.
  const registration = service === 'operator' ? undefined : await register(connection, service, { log, metrics })
  await topologyReady(connection, log)
  const js = jetstream(connection, { timeout: PUBLISH_TIMEOUT_MS })
  const jsm = await jetstreamManager(connection, { checkAPI: false })
  const subscriptions = new Set<Subscription>()
  const replays = createReplays(service, { publish: async (definition, said) => await store(definition, said, {}) }, log)
  let isReplaying = false

  /** A client gives up only where the server refuses it. Without NATS a service is none, so the process ends, and whoever starts it again sees why. */
  async function ended (): Promise<void> {
    const error = await connection.closed()
    if (error) throw refused(error)
  }

  async function followConnection (): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type !== 'disconnect' && status.type !== 'reconnect') continue
      connected = status.type === 'reconnect'
      metrics.connected.set(connected ? 1 : 0)
      log.warn({ connected }, 'connection to NATS changed')
    }
  }

  async function store<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>, publishOptions: object, subject?: string): Promise<{ sequence: number, duplicate: boolean, id: string }> {
    return await publishing(definition, said.data, async (span) => await storeWithin(span, definition, said, publishOptions, subject))
  }

  async function storeWithin<Schema extends TObject> (span: Span, definition: EventDefinition<Schema>, said: Said<Schema>, publishOptions: object, subject?: string): Promise<{ sequence: number, duplicate: boolean, id: string }> {
    const time = said.time ?? now()
    const { id, headers, body } = encodeEvent(definition, { key: said.key, author: service, time, data: said.data, correlation: said.correlation, causation: said.causation, trace: traceparent() })
    span.setAttribute('messaging.message.id', id)
    if (said.sign) headers.set(MAC_HEADER, said.sign({ subject: subjectOf(definition, said.data), id, type: definition.type, time: time.toISOString(), body }))
    try {
      const ack = await js.publish(subject ?? subjectOf(definition, said.data), body, {
        msgID: id, headers, timeout: PUBLISH_TIMEOUT_MS, ...publishOptions,
        ...(said.ttlS === undefined ? {} : { ttl: `${said.ttlS}s` }),
        ...(said.cancelSchedule === undefined ? {} : { cancelSchedule: { scheduleSubject: said.cancelSchedule } }),
      })
      if (!ack.duplicate) {
        metrics.published.inc({ type: definition.type })
        // That something will be said later is no decision: it follows from one.
        if (subject === undefined) logEvent(log, definition, { id, data: said.data, since: said.since, now: now() })
      }
      return { sequence: ack.seq, duplicate: ack.duplicate, id }
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE) return { sequence: 0, duplicate: false, id }
      throw transient('NATS_UNAVAILABLE', `${definition.type} was not stored`, { cause: error })
    }
  }

  async function newest (stream: string, subject: string): Promise<Awaited<ReturnType<typeof jsm.direct.getMessage>>> {
    try {
      return await jsm.direct.getMessage(stream, { last_by_subj: subject })
    } catch (error) {
      throw transient('NATS_UNAVAILABLE', `the last message of ${stream} could not be read`, { cause: error })
    }
  }

  const clock = await startNatsClock({ ask: async () => timeIn(await jsm.streams.info(`KV_${topologyBucket.name}`)), now, log, metrics })
  const checkCause = createCauseCheck(newest)
  const watch = watchConsumers({ info: async (stream, consumer) => await jsm.consumers.info(stream, consumer), metrics: metrics.consumers, now: () => clock.now().getTime(), log })
  fromZero(metrics.published, EVENTS.filter(({ authors }) => authors.includes(service)).map(({ type }) => ({ type })))
  const bus: Bus = {
    publish: async (definition, said) => await store(definition, said, {}),
    append: async (definition, said, filter, expected, withinMs = PUBLISH_TIMEOUT_MS) => {
      const { sequence, id, duplicate } = await store(definition, said, { timeout: withinMs, expect: { lastSubjectSequence: expected, lastSubjectSequenceSubject: filter } })
      return sequence === 0 ? { kind: 'conflict', id } : { kind: 'stored', sequence, id, duplicate }
    },
    schedule: async (definition, { at, on: scheduleSubject, ...said }) =>
      await store(definition, said, { schedule: { specification: at, target: subjectOf(definition, said.data), ttl: `${30 * 24 * 3600}s` } }, scheduleSubject),
    last: async (stream, subject, definitions) => {
      const message = await newest(stream, subject)
      if (!message) return null
      try {
        const decoded = decodeEvent(definitions, { subject: message.subject, headers: message.header, data: message.data })
        return decoded ? { ...decoded, sequence: message.seq, storedAt: message.time } : null
      } catch (error) {
        log.error({ stream, sequence: message.seq, code: codeOf(error) }, 'a stream holds a message that is no event of ours')
        return null
      }
    },
    lastSequence: async (stream, subject) => (await newest(stream, subject))?.seq ?? 0,
    consume: (definition, handlers) => {
      const subscription = consume({ js, definition, handlers, checkCause, log, metrics })
      const watched: Watched = { stream: definition.stream, name: definition.name, undone: subscription.undone }
      watch.add(watched)
      const tracked: Subscription = {
        ...subscription,
        stop: async () => {
          subscriptions.delete(tracked)
          watch.remove(watched)
          replays.remove(definition.name, tracked)
          await subscription.stop()
        },
      }
      subscriptions.add(tracked)
      replays.add(definition.name, tracked)
      if (replays.responder && !isReplaying) {
        isReplaying = true
        bus.respond([replays.responder]).catch((error: unknown) => { log.warn({ code: codeOf(error) }, 'dead letters cannot be replayed here') })
      }
      return tracked
    },
    request: async (definition, question) => await ask(connection, definition, question),
    respond: async (answers) => {
      if (!registration) throw new Error('an operator answers nothing')
      await registration.respond(answers)
    },
    bucket: async (definition) => await openBucket(connection, definition),
    counters: ({ name }) => openCounters(connection, name, () => connected && !connection.isClosed()),
    raw: { connection, js, jsm },
    clock,
    isConnected: () => connected && !connection.isClosed(),
    close: async () => {
      clock.stop()
      watch.stop()
      await Promise.all([...subscriptions].map(async (subscription) => { await subscription.stop() }))
      if (!connection.isClosed()) await connection.drain().catch(() => connection.close())
    },
  }
  return bus
}

/** Transient Fault `<SERVICE>_AWAY` where nobody answers in time, the answerer's own code where it could not answer. */
async function ask<Question extends TSchema, Answer extends TSchema> (connection: NatsConnection, definition: RequestDefinition<Question, Answer>, question: Static<Question>): Promise<Static<Answer>> {
  return await asking(definition, question, async () => await askedAndRead(connection, definition, question))
}

async function askedAndRead<Question extends TSchema, Answer extends TSchema> (connection: NatsConnection, definition: RequestDefinition<Question, Answer>, question: Static<Question>): Promise<Static<Answer>> {
  const away = `${definition.service.toUpperCase().replace('-', '_')}_AWAY`
  const until = Date.now() + definition.timeoutMs
  let refusal: Fault | undefined
  for (;;) {
    const message = await asked(connection, definition, JSON.stringify(question), until).catch((error: unknown) => {
      throw refusal ?? transient(away, `${definition.subject} was not answered`, { cause: error })
    })
    if (!ServiceError.isServiceError(message)) {
      const answer: unknown = message.json()
      if (!validatorOf(definition.answer).Check(answer)) throw permanent('ANSWER_INVALID', `${definition.subject}: ${problemsOf(definition.answer, answer)}`)
      return answer as Static<Answer>
    }
    const { code, message: reason } = ServiceError.toServiceError(message) as ServiceError
    const isPassing = code === FAULT_STATUS
    refusal = new Fault(isPassing ? 'transient' : 'permanent', /^[A-Z_]+$/.test(reason) ? reason : away, `${definition.subject} was refused`)
    // Of several answerers another may be able to, and this one in a moment.
    if (!isPassing || !definition.isRepeatable || Date.now() + NOT_NOW_DELAY_MS >= until) throw refusal
    await delay(NOT_NOW_DELAY_MS)
  }
}

/**
 * A question that nobody listened for was surely not handled, so it is asked again for a while: the answerer may be restarting. One that found no
 * answer may have been handled, so it is asked again only where that does no harm.
 */
async function asked (connection: NatsConnection, { subject, isRepeatable }: RequestDefinition, question: string, until: number): Promise<Msg> {
  const trace = traceparent()
  const h = trace === undefined ? undefined : headers()
  h?.set('traceparent', trace ?? '')
  let nobodySince: number | undefined
  for (;;) {
    const leftMs = Math.max(1, until - Date.now())
    try {
      return await connection.request(subject, question, { timeout: isRepeatable ? Math.min(leftMs, ASK_AGAIN_MS) : leftMs, ...(h && { headers: h }) })
    } catch (error) {
      const nobodyListens = error instanceof RequestError && error.isNoResponders()
      nobodySince = nobodyListens ? nobodySince ?? Date.now() : undefined
      if (Date.now() >= until || (nobodySince === undefined ? !isRepeatable : Date.now() - nobodySince > NOBODY_THERE_MS_MAX)) throw error
      await delay(NOBODY_THERE_DELAY_MS)
    }
  }
}
