// What operators ask about one claim, turned into commands; what is decided, turned into answers. The word by which it was asked is the cause of the decision.
import type { Static } from 'typebox'
import { randomUUID } from 'node:crypto'
import type { OperatorRefusal } from '../../contracts/codes.ts'
import { deleteClaim, extendDeletion, holdDeletion, memberSeen, releaseDeletion, retryClaim, type ClaimView, type OperationAnswer } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { outcomeOf } from '../common/event-line.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { onWord } from '../common/operations.ts'
import type { Claim, Decision, Operation, Seen } from './claim.ts'
import type { Ledger } from './ledger.ts'

const HOUR_MS = 3_600_000

export interface OperatingOptions {
  readonly bus: Bus
  readonly ledger: Pick<Ledger, 'execute' | 'consider'>
  /** The claim as it is known now, undefined where there is none. */
  readonly find: (claimId: string) => Promise<ClaimView | undefined>
  readonly graceMs: number
  readonly log: Log
}

type Question = Static<typeof releaseDeletion.question>

export function createOperating ({ bus, ledger, find, graceMs, log }: OperatingOptions): Responder[] {
  /** `detail` is what else was asked, for the record. */
  async function operate (request: Parameters<typeof onWord>[1]['request'], { claim_id: claimId, by, why, dry_run: isDry = false }: Question, command: Operation, detail?: string): Promise<OperationAnswer> {
    const view = await find(claimId)
    if (!view) return { ok: false, rejection: 'NOT_FOUND' }
    const memberId = view.member_id
    if (isDry) return answerOf(await ledger.consider(memberId, command), command)
    const answer = await onWord(bus, { request, by, why, detail, about: { memberId, claimId } }, async (causation) => answerOf(await ledger.execute(memberId, command, { causation }), command))
    log.warn({ decision: `claim.${request.name}`, claim_id: claimId, member_id: memberId, by, why, ...outcomeOf(answer) }, 'an operator has a claim treated')
    return answer
  }

  /** What the group shows. Who does not answer does not know. */
  async function seen (claimId: string): Promise<Seen> {
    try {
      const answer = await bus.request(memberSeen, { claim_id: claimId })
      return answer.ok ? answer.seen : 'unknown'
    } catch (error) {
      log.warn({ claim_id: claimId, code: codeOf(error) }, 'nobody can tell whether a member is in the group')
      return 'unknown'
    }
  }

  const now = (): number => bus.clock.now().getTime()
  return [
    answering(retryClaim, async (question) => {
      const { claim_id: claimId, template_version: templateVersion } = question
      return await operate(retryClaim, question, { type: 'Retry', claimId, nextClaimId: randomUUID(), templateVersion, seen: await seen(claimId), now: now() }, templateVersion === undefined ? undefined : `template version ${templateVersion}`)
    }),
    answering(deleteClaim, async (question) => {
      const { claim_id: claimId, even_if_present: evenIfPresent = false } = question
      return await operate(deleteClaim, question, { type: 'Delete', claimId, evenIfPresent, seen: evenIfPresent ? 'unknown' : await seen(claimId), now: now() }, evenIfPresent ? 'even if present' : undefined)
    }),
    answering(holdDeletion, async (question) => {
      const { claim_id: claimId, hours } = question
      return await operate(holdDeletion, question, { type: 'Hold', claimId, until: now() + hours * HOUR_MS }, `for ${hours} h`)
    }),
    answering(releaseDeletion, async (question) => await operate(releaseDeletion, question, { type: 'Release', claimId: question.claim_id, now: now(), graceMs })),
    answering(extendDeletion, async (question) => {
      const { claim_id: claimId, hours } = question
      return await operate(extendDeletion, question, { type: 'Extend', claimId, byMs: hours * HOUR_MS, now: now() }, `by ${hours} h`)
    }),
  ]
}

/** Of a decision that may not have been carried out: the time is in the event, the claim may still be as it was. */
function answerOf ({ decision, claim }: { decision: Decision, claim: Claim }, command: Operation): OperationAnswer {
  if (!decision.ok) return { ok: false, rejection: decision.rejection as OperatorRefusal }
  const departure = decision.happens?.type === 'DeletionScheduled' ? decision.happens.departure : 'departure' in claim ? claim.departure : undefined
  return {
    ok: true, outcome: decision.happens ? 'done' : 'already',
    ...(command.type === 'Retry' && decision.happens ? { claim_id: command.nextClaimId } : {}),
    ...(command.type === 'Retry' || !departure ? {} : { deletion_scheduled_at: new Date(departure.dueAt).toISOString() }),
  }
}
