// A service as NATS's services API knows it, from its start on: `nats service ls`, `info` and `stats` show it, whether or not it answers anything.
import { Svcm, type Service, type ServiceMsg } from '@nats-io/services'
import { nanos, type NatsConnection } from '@nats-io/transport-node'
import type { RequestDefinition } from '../../contracts/define.ts'
import { SERVICES, type Serving } from '../../contracts/services.ts'
import klaim from '../../package.json' with { type: 'json' }
import { validatorOf, problemsOf } from './envelope.ts'
import { codeOf, Fault, permanent } from './fault.ts'
import type { Log } from './log.ts'
import { fromZero, REQUEST_RESULTS, type Metrics } from './metrics.ts'
import { answeringTo } from './tracing.ts'

export interface Responder { readonly definition: RequestDefinition, readonly answer: (question: never) => Promise<unknown> }

export interface Registration {
  /** Answers questions, load-balanced over replicas. Resolves when the server knows. */
  respond (answers: readonly Responder[]): Promise<void>
}

export const FAULT_STATUS = 503

/** What the services API counts for an endpoint, see `Counted.show`. */
interface Shown { num_errors: number, last_error: string | undefined, processing_time: number, average_processing_time: number }

/**
 * The library (3.0.0-25) takes an answer for given when the call returns, so it counts no time and no fault of an answer that takes a while. Here both
 * are counted when the answer is given, and put in place of its own when somebody asks.
 */
class Counted {
  #answers = 0
  #faults = 0
  #ms = 0
  #lastFault: string | undefined

  note (startedAt: number, fault?: string): void {
    this.#answers++
    this.#ms += performance.now() - startedAt
    if (fault === undefined) return
    this.#faults++
    this.#lastFault = fault
  }

  show (shown: Shown): void {
    shown.num_errors = this.#faults
    shown.last_error = this.#lastFault
    shown.processing_time = nanos(Math.round(this.#ms))
    shown.average_processing_time = this.#answers === 0 ? 0 : nanos(Math.round(this.#ms / this.#answers))
  }
}

export async function register (connection: NatsConnection, service: Serving, { log, metrics }: { log: Log, metrics: Metrics }): Promise<Registration> {
  const counts = new Map<string, Counted>()
  const registered: Service = await new Svcm(connection).add({
    name: service, version: klaim.version, description: SERVICES[service],
    statsHandler: async (endpoint) => {
      const { name, stats } = endpoint as typeof endpoint & { name: string, stats: Shown }
      counts.get(name)?.show(stats)
      return undefined
    },
  })

  async function treat ({ definition, answer }: Responder, message: ServiceMsg, counted: Counted): Promise<void> {
    const startedAt = performance.now()
    const request = definition.name
    try {
      const question = questionOf(definition, message.data)
      message.respond(JSON.stringify(await answeringTo(definition, message.headers?.get('traceparent'), async () => await answer(question as never))))
      metrics.requests.inc({ request, result: 'answered' })
      counted.note(startedAt)
    } catch (failure) {
      metrics.requests.inc({ request, result: 'fault' })
      log.warn({ request, code: codeOf(failure), err: failure }, 'question was not answered')
      message.respondError(failure instanceof Fault && failure.kind === 'permanent' ? 400 : FAULT_STATUS, codeOf(failure))
      counted.note(startedAt, codeOf(failure))
    }
  }

  return {
    respond: async (answers) => {
      for (const responder of answers) {
        const { name, subject, summary } = responder.definition
        const counted = new Counted()
        fromZero(metrics.requests, REQUEST_RESULTS.map((result) => ({ request: name, result })))
        counts.set(name, counted)
        registered.addEndpoint(name, { subject, metadata: { summary }, handler: (error, message) => { if (!error) void treat(responder, message, counted) } })
      }
      // A start is over when the server knows what is answered here.
      await connection.flush()
    },
  }
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
