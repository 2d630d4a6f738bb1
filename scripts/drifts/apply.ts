// Carries out the steps of a confirmed plan, one after the other. Nothing is decided here: each step is a request to the service whose business it is, which
// looks again, right before, whether it still holds. So a step may be asked for twice, and an apply that died is followed by another.
import type { ApplyCode } from '../../contracts/codes.ts'
import { deleteStrayAccount, deleteStrayServer, scheduleDeletion, tellMovement, type RepairAnswer } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { codeOf } from '../../services/common/fault.ts'
import type { Finding } from '../../services/provisioner/drift.ts'
import type { Step } from './plan.ts'

/** Who wants it and why, for the log of the service that does it. */
export interface Word { readonly by: string, readonly why: string }

/** `left`: nothing is known to have been done. `code` is a refusal, a fault, FOR_A_PERSON, or STEPS_TOO_MANY. */
export type Outcome = { readonly outcome: 'done' | 'already' } | { readonly outcome: 'left', readonly code: string }

/** More than an operator has read before saying yes. The rest is the next plan's. */
export const STEPS_MAX = 500

const left = (code: ApplyCode): Outcome => ({ outcome: 'left', code })

export async function * carryOut (bus: Pick<Bus, 'request'>, steps: readonly Step[], word: Word): AsyncIterable<{ step: Step, result: Outcome }> {
  for (const [at, step] of steps.entries()) yield { step, result: at < STEPS_MAX ? await taken(bus, step, word) : left('STEPS_TOO_MANY') }
}

async function taken (bus: Pick<Bus, 'request'>, { finding, action }: Step, word: Word): Promise<Outcome> {
  const asked = ask(bus, finding, action, word)
  if (!asked) return left('FOR_A_PERSON')
  try {
    const answer = await asked
    return answer.ok ? { outcome: answer.outcome } : { outcome: 'left', code: answer.rejection }
  } catch (error) {
    return { outcome: 'left', code: codeOf(error) }
  }
}

function ask (bus: Pick<Bus, 'request'>, { memberId: member_id, claimId: claim_id, serverId: server_id, userId: user_id }: Finding, action: Step['action'], word: Word): Promise<RepairAnswer> | undefined {
  switch (action) {
    case 'delete_server': return claim_id === undefined || server_id === undefined ? undefined : bus.request(deleteStrayServer, { claim_id, server_id, ...word })
    case 'delete_account': return user_id === undefined ? undefined : bus.request(deleteStrayAccount, { member_id, user_id, ...word })
    case 'schedule': return claim_id === undefined ? undefined : bus.request(scheduleDeletion, { claim_id, ...word })
    case 'tell_left': return claim_id === undefined ? undefined : bus.request(tellMovement, { claim_id, movement: 'left', ...word })
    case 'tell_joined': return claim_id === undefined ? undefined : bus.request(tellMovement, { claim_id, movement: 'joined', ...word })
    case 'person': return undefined
  }
}
