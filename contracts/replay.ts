// A dead letter goes back to the one consumer that could not handle it, and to no other: the operator hands the original, read from where it
// stands, to the consumer's service. Published anew it would reach every consumer of its subject, and on CLAIMS it would be a second decision.
// No service needs a right to read a stream at will for this.
import { Type, type Static } from 'typebox'
import { defineRequest, type RequestDefinition, type ServiceName } from './define.ts'
import { word } from './events/operations.ts'
import { CONSUMERS } from './streams.ts'

const Sequence = Type.Integer({ minimum: 1 })
/** 64 KiB, the largest message of a stream that consumers read, in base64. */
const BODY_LENGTH_MAX = 87_384

const Question = Type.Object({
  consumer: Type.String({ pattern: '^[a-z-]{1,40}$' }),
  /** Of the original, on the consumer's stream. */
  sequence: Sequence,
  /** How often it was tried before. */
  deliveries: Type.Integer({ minimum: 1 }),
  subject: Type.String({ minLength: 1, maxLength: 400 }),
  /** All of them, those of the server included. */
  headers: Type.Array(Type.Tuple([Type.String({ minLength: 1, maxLength: 200 }), Type.String({ maxLength: 8_192 })]), { maxItems: 100 }),
  body_base64: Type.String({ pattern: '^[A-Za-z0-9+/]*={0,2}$', maxLength: BODY_LENGTH_MAX }),
  by: word.by,
  why: Type.Optional(word.why),
})
export type ReplayQuestion = Static<typeof Question>

const Answer = Type.Union([
  /** Handled. What had been done before was not done again. */
  Type.Object({ ok: Type.Literal(true) }),
  Type.Object({
    ok: Type.Literal(false),
    /** `NOT_CONSUMED`: this process has no such consumer at the moment, or does not know the event. `BUSY`: the same one is being replayed, or too many are. */
    rejection: Type.Union([Type.Literal('NOT_CONSUMED'), Type.Literal('BUSY'), Type.Literal('FAILED')]),
    /** Why it failed. */
    code: Type.Optional(Type.String({ pattern: '^[A-Z_]{1,60}(:\\w{1,60})?$' })),
  }),
])
export type ReplayAnswer = Static<typeof Answer>

export type ReplayDefinition = RequestDefinition<typeof Question, typeof Answer>

/** One for each service that has consumers. */
export const REPLAYS: ReadonlyMap<ServiceName, ReplayDefinition> = new Map([...new Set(CONSUMERS.map(({ service }) => service))].map((service) => [service, defineRequest({
  name: 'replay', service, callers: [],
  summary: 'A dead letter is handled again by the consumer that could not',
  question: Question, answer: Answer, timeoutMs: 60_000,
})]))

export const discardDeadLetter = defineRequest({
  name: 'discard_dead_letter', service: 'claim-store', callers: [],
  summary: 'A dead letter is erased without being handled',
  question: Type.Object({ sequence: Sequence, ...word }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true) }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('NOT_FOUND') }),
  ]),
})
