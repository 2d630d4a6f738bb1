// The only door to NATS. Everything else in the services speaks in definitions from contracts/.
import { jetstream, jetstreamManager, JetStreamApiError, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream'
import { Svcm, ServiceError, type Service } from '@nats-io/services'
import { RequestError, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Static, TObject, TSchema } from 'typebox'
import { subjectOf, type EventDefinition, type RequestDefinition, type ServiceName } from '../../contracts/define.ts'
import type { BucketDefinition, ConsumerDefinition, StreamDefinition } from '../../contracts/streams.ts'
import { openBucket, type Bucket } from './bucket.ts'
import { createCauseCheck } from './causation.ts'
import { connectNats, type NatsAccess } from './connect.ts'
import { consume, type Handler, type Subscription } from './consume.ts'
import { openCounters, type Counters } from './counters.ts'
import { decodeEvent, encodeEvent, MAC_HEADER, problemsOf, validatorOf, type Event } from './envelope.ts'
import { codeOf, Fault, permanent, transient } from './fault.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { topologyReady } from './topology.ts'

export interface Said<Schema extends TObject> {
  /** What makes this fact this fact, without the event's name: `<claim_id>`, `<claim_id>:<attempt>`. Saying it again stores nothing. */
  readonly key: string
  readonly data: Static<Schema>
  readonly correlation?: string | undefined
  readonly causation?: string | undefined
  readonly time?: Date
  /** How long the stream keeps it, in seconds (streams with schedules only). */
  readonly ttlS?: number
  /** Takes the schedule on this subject away in the same write. */
  readonly cancelSchedule?: string
  /** Answers a proof of authorship, which is stored with the event in the header `klaim-mac`. */
  readonly sign?: (message: { subject: string, id: string, type: string, time: string, body: string }) => string
}

/** A stored event with where it stands. */
export interface Recorded { readonly event: Event, readonly definition: EventDefinition, readonly sequence: number }

export interface Bus {
  /** Stores an event; resolves when the server has it on disk. Transient Fault NATS_UNAVAILABLE. */
  publish<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>): Promise<{ sequence: number, duplicate: boolean }>
  /** Stores an event only if the newest message under `filter` has the sequence `expected` (0: there is none). `conflict`: somebody was first, or our own acknowledgement was lost. */
  append<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>, filter: string, expected: number): Promise<{ kind: 'stored', sequence: number, id: string } | { kind: 'conflict', id: string }>
  /** Has the server say an event later. `on` is the subject of the schedule: one schedule per subject, a newer replaces it. */
  schedule<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema> & { at: Date, on: string }): Promise<{ sequence: number }>
  /** The newest message on a subject or filter, checked like any event; null where there is none, or where what is there is no event of these. */
  last (stream: string, subject: string, definitions: readonly EventDefinition[]): Promise<Recorded | null>
  /** Sequence of the newest message under a literal subject, whatever it holds; 0 where there is none. */
  lastSequence (stream: string, subject: string): Promise<number>
  consume (definition: ConsumerDefinition, handlers: readonly Handler[]): Subscription
  request<Question extends TSchema, Answer extends TSchema> (definition: RequestDefinition<Question, Answer>, question: Static<Question>): Promise<Static<Answer>>
  /** Answers questions as a NATS service, load-balanced over replicas. */
  respond (answers: readonly Responder[]): Promise<void>
  bucket (definition: BucketDefinition): Promise<Bucket>
  counters (definition: StreamDefinition): Counters
  /** The raw clients, for adapters that need what is not above (replay, schedule listing). Only files named *stream*, *ledger* or *schedule* use it. */
  readonly raw: { connection: NatsConnection, js: JetStreamClient, jsm: JetStreamManager }
  isConnected (): boolean
  /** Stops every subscription, lets what is in hand finish, and drains. */
  close (): Promise<void>
}

export interface Responder { readonly definition: RequestDefinition, readonly answer: (question: never) => Promise<unknown> }
export function answering<Question extends TSchema, Answer extends TSchema> (definition: RequestDefinition<Question, Answer>, answer: (question: Static<Question>) => Promise<Static<Answer>>): Responder {
  return { definition, answer: answer as Responder['answer'] }
}

const WRONG_LAST_SEQUENCE = 10071
const PUBLISH_TIMEOUT_MS = 5_000
const FAULT_STATUS = 503
const NOBODY_THERE_MS_MAX = 2_000
const NOBODY_THERE_DELAY_MS = 100

export interface BusOptions extends NatsAccess { readonly service: ServiceName, readonly log: Log, readonly metrics: Metrics, readonly now: () => Date }

/** Connects, waiting for ever for a server and for the streams on it, and reconnects for ever. */
export async function createBus (options: BusOptions): Promise<Bus> {
  const { service, log, metrics, now } = options
  const connection = await connectNats(options, service)
  void ended()
  metrics.connected.set(1)
  let connected = true
  void watch()
  await topologyReady(connection, log)
  const js = jetstream(connection, { timeout: PUBLISH_TIMEOUT_MS })
  const jsm = await jetstreamManager(connection, { checkAPI: false })
  const subscriptions = new Set<Subscription>()
  let svc: Service | undefined

  /** A client gives up only where the server refuses it. Without NATS a service is none, so the process ends, and whoever starts it again sees why. */
  async function ended (): Promise<void> {
    const error = await connection.closed()
    if (error) throw permanent('NATS_REFUSED', 'NATS does not accept the credentials of this service', { cause: error })
  }

  async function watch (): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type !== 'disconnect' && status.type !== 'reconnect') continue
      connected = status.type === 'reconnect'
      metrics.connected.set(connected ? 1 : 0)
      log.warn({ connected }, 'connection to NATS changed')
    }
  }

  async function store<Schema extends TObject> (definition: EventDefinition<Schema>, said: Said<Schema>, publishOptions: object, subject?: string): Promise<{ sequence: number, duplicate: boolean, id: string }> {
    const time = said.time ?? now()
    const { id, headers, body } = encodeEvent(definition, { key: said.key, author: service, time, data: said.data, correlation: said.correlation, causation: said.causation })
    if (said.sign) headers.set(MAC_HEADER, said.sign({ subject: subjectOf(definition, said.data), id, type: definition.type, time: time.toISOString(), body }))
    try {
      const ack = await js.publish(subject ?? subjectOf(definition, said.data), body, {
        msgID: id, headers, timeout: PUBLISH_TIMEOUT_MS, ...publishOptions,
        ...(said.ttlS === undefined ? {} : { ttl: `${said.ttlS}s` }),
        ...(said.cancelSchedule === undefined ? {} : { cancelSchedule: { scheduleSubject: said.cancelSchedule } }),
      })
      if (!ack.duplicate) metrics.published.inc({ type: definition.type })
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

  const checkCause = createCauseCheck(newest)
  const bus: Bus = {
    publish: async (definition, said) => await store(definition, said, {}),
    append: async (definition, said, filter, expected) => {
      const { sequence, id } = await store(definition, said, { expect: { lastSubjectSequence: expected, lastSubjectSequenceSubject: filter } })
      return sequence === 0 ? { kind: 'conflict', id } : { kind: 'stored', sequence, id }
    },
    schedule: async (definition, { at, on: scheduleSubject, ...said }) =>
      await store(definition, said, { schedule: { specification: at, target: subjectOf(definition, said.data), ttl: `${30 * 24 * 3600}s` } }, scheduleSubject),
    last: async (stream, subject, definitions) => {
      const message = await newest(stream, subject)
      if (!message) return null
      try {
        const decoded = decodeEvent(definitions, { subject: message.subject, headers: message.header, data: message.data })
        return decoded ? { ...decoded, sequence: message.seq } : null
      } catch (error) {
        log.error({ stream, sequence: message.seq, code: codeOf(error) }, 'a stream holds a message that is no event of ours')
        return null
      }
    },
    lastSequence: async (stream, subject) => (await newest(stream, subject))?.seq ?? 0,
    consume: (definition, handlers) => {
      const subscription = consume({ js, definition, handlers, checkCause, log, metrics })
      const tracked: Subscription = { stop: async () => { subscriptions.delete(tracked); await subscription.stop() } }
      subscriptions.add(tracked)
      return tracked
    },
    request: async (definition, question) => await ask(connection, definition, question),
    respond: async (answers) => {
      svc ??= await new Svcm(connection).add({ name: service, version: '1.0.0', description: `Klaim ${service}` })
      for (const { definition, answer } of answers) {
        svc.addEndpoint(definition.name, {
          subject: definition.subject,
          metadata: { summary: definition.summary },
          handler: (error, message) => {
            if (error) return
            void (async () => {
              try {
                const question = questionOf(definition, message.data)
                message.respond(JSON.stringify(await answer(question as never)))
                metrics.requests.inc({ request: definition.name, result: 'answered' })
              } catch (failure) {
                metrics.requests.inc({ request: definition.name, result: 'fault' })
                log.warn({ request: definition.name, code: codeOf(failure), err: failure }, 'question was not answered')
                message.respondError(failure instanceof Fault && failure.kind === 'permanent' ? 400 : FAULT_STATUS, codeOf(failure))
              }
            })()
          },
        })
      }
      // A start is over when the server knows what is answered here.
      await connection.flush()
    },
    bucket: async (definition) => await openBucket(connection, definition),
    counters: ({ name }) => openCounters(connection, name, () => connected && !connection.isClosed()),
    raw: { connection, js, jsm },
    isConnected: () => connected && !connection.isClosed(),
    close: async () => {
      await Promise.all([...subscriptions].map(async (subscription) => { await subscription.stop() }))
      if (!connection.isClosed()) await connection.drain().catch(() => connection.close())
    },
  }
  return bus
}

function questionOf (definition: RequestDefinition, data: Uint8Array): unknown {
  let question: unknown
  try {
    question = JSON.parse(new TextDecoder().decode(data))
  } catch (error) {
    throw permanent('QUESTION_INVALID', `${definition.subject} was asked without JSON`, { cause: error })
  }
  if (!validatorOf(definition.question).Check(question)) throw permanent('QUESTION_INVALID', `${definition.subject}: ${problemsOf(definition.question, question)}`)
  return question
}

/** Transient Fault `<SERVICE>_AWAY` where nobody answers in time, the answerer's own code where it could not answer. */
async function ask<Question extends TSchema, Answer extends TSchema> (connection: NatsConnection, definition: RequestDefinition<Question, Answer>, question: Static<Question>): Promise<Static<Answer>> {
  const away = `${definition.service.toUpperCase().replace('-', '_')}_AWAY`
  const message = await asked(connection, definition, JSON.stringify(question)).catch((error: unknown) => {
    throw transient(away, `${definition.subject} was not answered`, { cause: error })
  })
  if (ServiceError.isServiceError(message)) {
    const { code, message: reason } = ServiceError.toServiceError(message) as ServiceError
    throw new Fault(code === FAULT_STATUS ? 'transient' : 'permanent', /^[A-Z_]+$/.test(reason) ? reason : away, `${definition.subject} was refused`)
  }
  const answer: unknown = message.json()
  if (!validatorOf(definition.answer).Check(answer)) throw permanent('ANSWER_INVALID', `${definition.subject}: ${problemsOf(definition.answer, answer)}`)
  return answer as Static<Answer>
}

/** A question that nobody listened for was surely not handled, so it is asked again for a while: the answerer may be restarting. */
async function asked (connection: NatsConnection, definition: RequestDefinition, question: string): Promise<Msg> {
  const deadline = Date.now() + Math.min(definition.timeoutMs, NOBODY_THERE_MS_MAX)
  for (;;) {
    try {
      return await connection.request(definition.subject, question, { timeout: definition.timeoutMs })
    } catch (error) {
      const nobodyListens = error instanceof RequestError && error.isNoResponders()
      if (!nobodyListens || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, NOBODY_THERE_DELAY_MS))
    }
  }
}
