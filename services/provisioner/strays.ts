// What stands on the panel although no claim needs it, taken away on an operator's word (scripts/drift apply). Everything that the operator saw is looked
// at again here, right before, because between a plan and its step a claim may have been made, a server moved, the brake put on.
import type { Static } from 'typebox'
import { isOver, type RepairRefusal } from '../../contracts/codes.ts'
import { claimRequested, claimRestored } from '../../contracts/events/claims.ts'
import { deleteStrayAccount, deleteStrayServer, getBrake, getClaim, type ClaimView, type RepairAnswer } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import type { EventData } from '../common/consume.ts'
import { outcomeOf } from '../common/event-line.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { onWord, type Asked } from '../common/operations.ts'
import { emailOf, isOurs, type Identity } from './identity.ts'
import type { Pterodactyl } from './pterodactyl.ts'
import type { Removal } from './removal.ts'

export interface StraysOptions {
  readonly bus: Pick<Bus, 'request' | 'last' | 'clock' | 'publish'>
  readonly panel: Pick<Pterodactyl, 'serverOfClaim' | 'user'>
  readonly removal: Removal
  readonly emailDomain: string
  readonly signal: AbortSignal
  readonly log: Log
}

/** Whoever asks waits 120 s. */
const ANSWER_MS = 90_000

const done: RepairAnswer = { ok: true, outcome: 'done' }
const already: RepairAnswer = { ok: true, outcome: 'already' }
const refused = (rejection: RepairRefusal): RepairAnswer => ({ ok: false, rejection })

/** The answers are transient Faults where the panel, claim-store or the reaper was away: then nothing is known to have been deleted. */
export function createStrays ({ bus, panel, removal, emailDomain, signal, log }: StraysOptions): Responder[] {
  const identityOf = ({ member_id: memberId, wa_jid: waJid }: ClaimView): Identity => ({ memberId, waJid, email: emailOf(memberId, emailDomain) })

  /** A claim that failed or was deleted stays so: what a claim-store that is behind says of it is true as well. Others are not answered as over. */
  async function past (claimId: string): Promise<ClaimView | null> {
    const answer = await bus.request(getClaim, { claim_id: claimId })
    return answer.ok && isOver(answer.claim.status) ? answer.claim : null
  }

  /**
   * The member's newest claim, if it is over. Which is the newest is asked of the ledger's stream: a claim-store that is behind would answer an older one.
   * Nothing can keep another claim from being made right after; that one survives the deletion (test/account-race.test.ts).
   */
  async function newestPast (memberId: string): Promise<ClaimView | null> {
    const begun = await Promise.all([bus.last('CLAIMS', `claims.${memberId}.requested`, [claimRequested]), bus.last('CLAIMS', `claims.${memberId}.restored`, [claimRestored])])
    const newest = begun.toSorted((one, two) => (two?.sequence ?? 0) - (one?.sequence ?? 0))[0]
    if (!newest) return null
    const claim = await past((newest.event.data as EventData<typeof claimRequested | typeof claimRestored>).claim_id)
    return claim?.member_id === memberId ? claim : null
  }

  /** When a deletion has its turn, because the brake changes fastest. Who does not answer holds it, too. */
  async function beforeDeletion (): Promise<void> {
    if (bus.clock.isSkewed()) throw new Held('CLOCK_SKEWED')
    if ((await bus.request(getBrake, {})).tripped) throw new Held('BRAKE_ON')
  }

  async function deleteServer ({ claim_id: claimId, server_id: serverId }: Static<typeof deleteStrayServer.question>): Promise<RepairAnswer> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const claim = await past(claimId)
    if (!claim) return refused('CLAIM_NOT_OVER')
    const server = await panel.serverOfClaim(claimId, 'delete', limited)
    if (!server) return already
    if (server.id !== serverId) return refused('SERVER_OTHER')
    const owner = await panel.user(server.userId, 'delete', limited)
    if (!owner || !isOurs(owner, identityOf(claim))) return refused('OWNER_OTHER')
    // By the claim's id alone: a number proves nothing.
    return await removal.server(claimId, { serverId: undefined, userId: undefined }, limited, beforeDeletion) ? done : already
  }

  async function deleteAccount ({ member_id: memberId, user_id: userId }: Static<typeof deleteStrayAccount.question>): Promise<RepairAnswer> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    const account = await panel.user(userId, 'delete', limited)
    if (!account) return already
    const claim = await newestPast(memberId)
    if (!claim) return refused('CLAIM_NOT_OVER')
    const identity = identityOf(claim)
    if (!isOurs(account, identity)) return refused('OWNER_OTHER')
    // The panel itself keeps an account that owns a server.
    return await removal.user(identity, userId, limited, beforeDeletion) ? done : refused('ACCOUNT_IN_USE')
  }

  /** Who had what done and why, whatever came of it. Of a member whom the ledger does not know nothing is done and nothing stored. */
  async function audited (asked: Asked, whom: Static<typeof getClaim.question>, facts: object, what: string, step: () => Promise<RepairAnswer>): Promise<RepairAnswer> {
    const held = async (): Promise<RepairAnswer> => await step().catch((error: unknown) => {
      if (error instanceof Held) return refused(error.rejection)
      throw error
    })
    try {
      const found = await bus.request(getClaim, whom)
      const about = found.ok ? { memberId: found.claim.member_id, claimId: 'claim_id' in whom ? whom.claim_id : undefined } : undefined
      const answer = about ? await onWord(bus, { ...asked, about }, held) : await held()
      log.warn({ ...facts, ...outcomeOf(answer) }, what)
      return answer
    } catch (error) {
      log.warn({ ...facts, code: codeOf(error) }, what)
      throw error
    }
  }

  return [
    answering(deleteStrayServer, async (question) => {
      const { claim_id: claimId, server_id: serverId, by, why } = question
      return await audited({ request: deleteStrayServer, by, why, detail: `server ${serverId}` }, { claim_id: claimId }, { decision: 'stray.deleted', claim_id: claimId, server_id: serverId, by, why }, 'an operator has a server without a claim deleted', async () => await deleteServer(question))
    }),
    answering(deleteStrayAccount, async (question) => {
      const { member_id: memberId, user_id: userId, by, why } = question
      return await audited({ request: deleteStrayAccount, by, why, detail: `account ${userId}` }, { member_id: memberId }, { decision: 'stray.deleted', member_id: memberId, user_id: userId, by, why }, 'an operator has an account without a claim deleted', async () => await deleteAccount(question))
    }),
  ]
}

class Held extends Error {
  readonly rejection: RepairRefusal
  constructor (rejection: RepairRefusal) {
    super(rejection)
    this.rejection = rejection
  }
}
