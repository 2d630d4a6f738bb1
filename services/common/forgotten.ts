// The word that somebody was erased has no cause but a wish or the calendar, so the ledger is asked whether it stands by it: nobody is forgotten
// because of what somebody wrote on a stream.
import type { Static } from 'typebox'
import type { claimErased } from '../../contracts/events/claims.ts'
import { getClaim } from '../../contracts/requests.ts'
import type { Bus } from './bus.ts'
import { permanent, transient } from './fault.ts'

/** A claim-store may be a moment behind its neighbour; after so many deliveries it is not. */
const DELIVERIES_MAX = 4

/** Throws a Fault CAUSE_UNKNOWN where the ledger still knows one of the claims. `deliveryCount`: that of the word. */
export async function checkForgotten (bus: Pick<Bus, 'request'>, { claims }: Static<typeof claimErased.data>, deliveryCount: number): Promise<void> {
  for (const { claim_id } of claims) {
    if (!(await bus.request(getClaim, { claim_id })).ok) continue
    const words = 'a member is said to be erased whom the ledger knows'
    throw deliveryCount < DELIVERIES_MAX ? transient('CAUSE_UNKNOWN', words) : permanent('CAUSE_UNKNOWN', words)
  }
}
