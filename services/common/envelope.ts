// CloudEvents 1.0 in NATS binary mode: attributes as `ce-…` headers, data as JSON in the body.
import { headers, type MsgHdrs } from '@nats-io/transport-node'
import { Compile, type Validator } from 'typebox/compile'
import type { Static, TObject, TSchema } from 'typebox'
import { subjectOf, type EventDefinition, type ServiceName } from '../../contracts/define.ts'
import { permanent } from './fault.ts'

export const MAC_HEADER = 'klaim-mac'
const SOURCE = '/klaim/'
type Headers = Pick<MsgHdrs, 'get'> | undefined
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

export interface Event<Schema extends TObject = TObject> {
  /** Derived from the fact: the same fact has the same id. */
  readonly id: string
  readonly type: string
  readonly author: ServiceName
  readonly time: Date
  /** The claim this belongs to, where there is one. */
  readonly correlation: string | undefined
  /** Id of the event that led here. */
  readonly causation: string | undefined
  /** The span that said it, as W3C's `traceparent`, where traces are kept. It proves nothing and decides nothing. */
  readonly trace: string | undefined
  readonly data: Static<Schema>
}

const validators = new WeakMap<TSchema, Validator>()
/** Compiled once per schema. */
export function validatorOf (schema: TSchema): Validator {
  let validator = validators.get(schema)
  if (!validator) validators.set(schema, validator = Compile(schema) as unknown as Validator)
  return validator
}

/** Names the fields that are wrong, never their values. */
export function problemsOf (schema: TSchema, value: unknown): string {
  return validatorOf(schema).Errors(value).slice(0, 8).map((error) => `${error.instancePath || '/'} ${error.keyword}`).join(', ')
}

/** Message ids are remembered per stream, not per subject, so the type is part of the id. */
export const eventId = (definition: Pick<EventDefinition, 'type'>, key: string): string => `${definition.type.slice('klaim.'.length)}:${key}`

export function encodeEvent<Schema extends TObject> (definition: EventDefinition<Schema>, event: {
  key: string, author: ServiceName, time: Date, data: Static<Schema>, correlation: string | undefined, causation: string | undefined, trace?: string | undefined
}): { id: string, headers: MsgHdrs, body: string } {
  if (!validatorOf(definition.data).Check(event.data)) {
    throw permanent('MESSAGE_INVALID', `${definition.type} would be published with wrong data: ${problemsOf(definition.data, event.data)}`)
  }
  const id = eventId(definition, event.key)
  const h = headers()
  h.set('ce-specversion', '1.0')
  h.set('ce-id', id)
  h.set('ce-type', definition.type)
  h.set('ce-source', `${SOURCE}${event.author}`)
  h.set('ce-time', event.time.toISOString())
  h.set('ce-subject', subjectOf(definition, event.data))
  h.set('content-type', 'application/json')
  if (event.correlation !== undefined) h.set('ce-correlation', event.correlation)
  if (event.causation !== undefined) h.set('ce-causation', event.causation)
  if (event.trace !== undefined) h.set('ce-traceparent', event.trace)
  return { id, headers: h, body: JSON.stringify(event.data) }
}

/** What the headers say, unchecked. A rebuild reads those of every event of the ledger, so what it does without is read when somebody asks. */
export const attributesOf = (headers: Headers): EventAttributes => new EventAttributes(headers)

export class EventAttributes {
  readonly specversion: string
  readonly type: string
  readonly author: ServiceName
  readonly id: string
  /** The time as it stands there. */
  readonly timestamp: string
  readonly #headers: Headers

  constructor (headers: Headers) {
    this.#headers = headers
    this.specversion = this.#header('ce-specversion')
    this.type = this.#header('ce-type')
    this.id = this.#header('ce-id')
    this.timestamp = this.#header('ce-time')
    const source = this.#header('ce-source')
    this.author = (source.startsWith(SOURCE) ? source.slice(SOURCE.length) : source) as ServiceName
  }

  get time (): Date { return new Date(this.timestamp) }
  get correlation (): string { return this.#header('ce-correlation') }
  get causation (): string { return this.#header('ce-causation') }
  get trace (): string | undefined {
    const trace = this.#header('ce-traceparent')
    return TRACEPARENT.test(trace) ? trace : undefined
  }

  #header (name: string): string { return this.#headers?.get(name) ?? '' }
}

/**
 * Reads and checks a message: known type, an author who may say it, a subject that agrees with the data, data by the schema.
 * Throws a permanent Fault MESSAGE_INVALID. `undefined` where the type is none of `definitions`: the message is for a newer version of us.
 */
export function decodeEvent (definitions: readonly EventDefinition[], { subject, headers, data: body }: { subject: string, headers: Headers, data: Uint8Array }): { definition: EventDefinition, event: Event } | undefined {
  const attributes = attributesOf(headers)
  const checked = checkedAs(definitions, attributes, { subject, data: body })
  if (!checked) return undefined
  const { definition, data } = checked
  const { id, type, author, time, correlation, causation, trace } = attributes
  if (Number.isNaN(time.getTime())) throw permanent('MESSAGE_INVALID', `${type} without a time`)
  return { definition, event: { id, type, author, time, correlation: correlation || undefined, causation: causation || undefined, trace, data } }
}

/** The same where the headers were read before, and who said when is known: the time is not looked at. */
export function checkedAs (definitions: readonly EventDefinition[], { specversion, type, author, id }: EventAttributes, message: { subject: string, data: Uint8Array }): { definition: EventDefinition, data: Event['data'] } | undefined {
  if (specversion !== '1.0' || type === '') throw permanent('MESSAGE_INVALID', 'not a CloudEvent')
  const definition = definitions.find((candidate) => candidate.type === type)
  if (!definition) return undefined
  if (!definition.authors.includes(author)) throw permanent('MESSAGE_INVALID', `${type} is not for this author to say`)
  // Ids are of one event each, whatever its author wrote there.
  if (!id.startsWith(eventId(definition, ''))) throw permanent('MESSAGE_INVALID', `${type} without an id of its own`)
  const data = parsed(type, message.data)
  if (!validatorOf(definition.data).Check(data)) throw permanent('MESSAGE_INVALID', `${type} has wrong data: ${problemsOf(definition.data, data)}`)
  if (subjectOf(definition, data as never) !== message.subject) throw permanent('MESSAGE_INVALID', `${type} stands on a foreign subject`)
  return { definition, data: data as never }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
function parsed (type: string, body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body))
  } catch (error) {
    throw permanent('MESSAGE_INVALID', `${type} is not JSON`, { cause: error })
  }
}
