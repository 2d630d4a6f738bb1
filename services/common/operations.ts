// A request of an operator is said before it is carried out, and what came of it before it is answered (contracts/events/operations.ts). So nothing is
// done that nobody asked for, and who got an answer can be found again; who got none asks again and is told `already`.
import { randomUUID } from 'node:crypto'
import { NOBODY, operatorActed, type Word } from '../../contracts/events/operations.ts'
import type { RequestDefinition } from '../../contracts/define.ts'
import type { Serving } from '../../contracts/services.ts'
import type { Bus } from './bus.ts'
import { eventId } from './envelope.ts'
import { codeOf } from './fault.ts'
import { maskedText } from './mask.ts'

export interface Asked extends Word {
  readonly request: Pick<RequestDefinition, 'name' | 'service'>
  /** Absent: it is about nobody. */
  readonly about?: { readonly memberId: string, readonly claimId?: string | undefined } | undefined
  readonly detail?: string | undefined
}

type Answer = { readonly ok: true, readonly outcome?: string } | { readonly ok: false, readonly rejection: string }

/** `step` is given the id of the word, which may lead to a decision of the ledger. Throws what it throws. */
export async function onWord<Given extends Answer> (bus: Pick<Bus, 'publish'>, { request, about, by, why, detail }: Asked, step: (wordId: string) => Promise<Given>): Promise<Given> {
  const definition = operatorActed(request.service as Serving)
  const operationId = randomUUID()
  const said = {
    operation_id: operationId, operation: request.name, member_id: about?.memberId ?? NOBODY, ...(about?.claimId === undefined ? {} : { claim_id: about.claimId }),
    by: maskedText(by), why: maskedText(why), ...(detail === undefined ? {} : { detail: maskedText(detail) }),
  }
  const key = `${operationId}:asked`
  await bus.publish(definition, { key, data: said, correlation: about?.claimId })
  const asked = eventId(definition, key)
  const ended = async (outcome: string): Promise<void> => { await bus.publish(definition, { key: `${operationId}:ended`, data: { ...said, outcome }, correlation: about?.claimId, causation: asked }) }
  let answer: Given
  try {
    answer = await step(asked)
  } catch (error) {
    const code = codeOf(error)
    await ended(/^[A-Z][A-Z_0-9]{1,59}$/.test(code) ? code : 'INTERNAL').catch(() => {})
    throw error
  }
  await ended(answer.ok ? answer.outcome ?? 'done' : answer.rejection)
  return answer
}
