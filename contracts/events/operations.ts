// OPERATIONS: what people had services do. Whoever carries a request out says two things of it: that it was asked, by whom and why, before anything
// happens, and then what came of it. Where the second is missing the service died in between, or waits for something.
//
// Each service has a subject and an event of its own, so that none can say what another did. What is about a member stands under their pseudonym:
// there it is found, and erased with them.
import { Type, type Static } from 'typebox'
import { defineEvent, type EventDefinition } from '../define.ts'
import { ClaimId } from '../ids.ts'
import { SERVICES, type Serving } from '../services.ts'

export const BY_LENGTH_MAX = 80
export const WHY_LENGTH_MAX = 200
/** Who wants it and why. Numbers in it are masked before it is stored. */
export const word = { by: Type.String({ minLength: 1, maxLength: BY_LENGTH_MAX }), why: Type.String({ minLength: 1, maxLength: WHY_LENGTH_MAX }) }
export type Word = { readonly by: string, readonly why: string }

/** The pseudonym of who it is about; where it is about nobody, this. */
export const NOBODY = 'none'

const Acted = Type.Object({
  /** One request: what was asked and what came of it have the same. */
  operation_id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  /** Name of the request. */
  operation: Type.String({ pattern: '^[a-z_]{1,40}$' }),
  member_id: Type.String({ pattern: `^([a-z2-7]{20}|${NOBODY})$` }),
  /** Only with a member. */
  claim_id: Type.Optional(ClaimId),
  ...word,
  /** What exactly, in a few words of ours. */
  detail: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  /** `done`, `already` (it was so before), or the code of a refusal or fault. Absent: it was asked. */
  outcome: Type.Optional(Type.String({ pattern: '^([a-z]{1,20}|[A-Z][A-Z_0-9]{1,59})$' })),
})
export type Acted = Static<typeof Acted>
export type OperatorActed = EventDefinition<typeof Acted>

const actedOf = (service: Serving): OperatorActed => defineEvent({
  name: `operator.acted.${service}`, version: 1, authors: [service], stream: 'OPERATIONS', subject: `operations.${service}.{member_id}`,
  summary: `Somebody had ${service} do something: who, why, about whom, and what came of it`,
  data: Acted,
})

export const OPERATOR_ACTED: ReadonlyMap<Serving, OperatorActed> = new Map((Object.keys(SERVICES) as Serving[]).map((service) => [service, actedOf(service)]))
export const operatorActed = (service: Serving): OperatorActed => OPERATOR_ACTED.get(service) as OperatorActed
