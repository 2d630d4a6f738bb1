// How the catalogue is written: an event or a request is a value, and its type, subject, stream and check come from that value.
import type { Static, TObject, TSchema } from 'typebox'

export type ServiceName = 'gateway' | 'claim-store' | 'provisioner' | 'reaper' | 'notifier' | 'bot' | 'operator'

/** `{name}` stands for the data field of that name: 'claims.{member_id}.requested'. */
type Placeholders<Subject extends string> = Subject extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never

export interface EventDefinition<Schema extends TObject = TObject> {
  /** The CloudEvents type, version included: `klaim.claim.requested.v1`. */
  readonly type: string
  /** The only services that may say this. */
  readonly authors: readonly ServiceName[]
  readonly stream: string
  /** Subject with `{field}` placeholders. */
  readonly subject: string
  readonly summary: string
  readonly data: Schema
}

/** Adding an optional field keeps the version. Anything else is a new definition beside the old one, until nobody reads the old. */
export function defineEvent<const Subject extends string, Schema extends TObject> (definition: {
  name: string
  version: number
  authors: readonly ServiceName[]
  stream: string
  subject: Placeholders<Subject> extends keyof Static<Schema> ? Subject : never
  summary: string
  data: Schema
}): EventDefinition<Schema> {
  const { name, version, authors, stream, subject, summary, data } = definition
  return { type: `klaim.${name}.v${version}`, authors, stream, subject, summary, data }
}

const patterns = new Map<string, readonly string[]>()
/** What is literal in a subject, and the names of its placeholders, in turns. */
function partsOf (subject: string): readonly string[] {
  let parts = patterns.get(subject)
  if (!parts) patterns.set(subject, parts = subject.split(/\{(\w+)\}/))
  return parts
}

/** The subject on which this fact is said. Values are validated ids, so they cannot widen or inject a subject. */
export function subjectOf<Schema extends TObject> ({ subject }: EventDefinition<Schema>, data: Static<Schema>): string {
  const parts = partsOf(subject)
  let whole = parts[0] ?? ''
  for (let n = 1; n < parts.length; n += 2) whole += `${String((data as Record<string, unknown>)[parts[n] ?? ''])}${parts[n + 1]}`
  return whole
}

/** The subject with every placeholder as a wildcard: what a consumer filters on. */
export function subjectFilter (event: EventDefinition): string {
  return event.subject.replace(/\{\w+\}/g, '*')
}

export interface RequestDefinition<Question extends TSchema = TSchema, Answer extends TSchema = TSchema> {
  readonly name: string
  /** Who answers. */
  readonly service: ServiceName
  /** Who may ask, beside the operator, who may ask everything. */
  readonly callers: readonly ServiceName[]
  readonly subject: string
  readonly summary: string
  readonly question: Question
  readonly answer: Answer
  /** How long a caller waits, in milliseconds. */
  readonly timeoutMs: number
  /** Asking again does no more than asking once, so a question that finds no answer, or none for now (a transient fault), is asked again within that time: a node of NATS may have been lost with it. */
  readonly isRepeatable: boolean
}

/** A question over NATS request/reply. `answer` holds the rejections too: a refusal is a value, not an error. */
export function defineRequest<Question extends TSchema, Answer extends TSchema> (definition: {
  name: string
  service: ServiceName
  callers: readonly ServiceName[]
  summary: string
  question: Question
  answer: Answer
  timeoutMs?: number
  isRepeatable?: true
}): RequestDefinition<Question, Answer> {
  return { timeoutMs: 5_000, isRepeatable: false, ...definition, subject: `klaim.${definition.service}.${definition.name}` }
}
