// What reaches claim-store, turned into commands; what it decides, turned into answers.
import type { Static } from 'typebox'
import { deletionConfirmed, deletionPostponed, deletionRefuted } from '../../contracts/events/deletions.ts'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from '../../contracts/events/servers.ts'
import { createClaim, eraseMember, getClaim, listClaims, type ClaimView } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { on, type Delivery, type Handler } from '../common/consume.ts'
import { permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { memberIdOf } from '../common/member-id.ts'
import { onWord } from '../common/operations.ts'
import { remark } from '../common/tracing.ts'
import { movedAt, type Command, type Movement } from './claim.ts'
import type { Ledger } from './ledger.ts'
import { createOperating } from './operating.ts'

const PAGE_DEFAULT = 50
const TRANSIENT_REJECTION_DELAY_MS = 1_000

export interface ClaimService { readonly responders: readonly Responder[], readonly serverHandlers: readonly Handler[], readonly memberHandlers: readonly Handler[], readonly deletionHandlers: readonly Handler[] }

export function createClaimService (options: { ledger: Ledger, bus: Bus, log: Log, memberIdKey: string, graceMs: number, now: () => Date }): ClaimService {
  const { ledger, bus, log, memberIdKey, graceMs, now } = options
  const { projection } = ledger

  /** A fact from another service. A rejection is a finding, not a fault: trying again would change nothing. */
  async function obey (memberId: string, command: Command, causation: string): Promise<void> {
    const { decision, claim } = await ledger.execute(memberId, command, { causation })
    if (decision.ok) return
    // The clocks of two machines differ by a little: what is not due yet is due soon.
    if (decision.rejection === 'NOT_DUE') throw transient('NOT_DUE', 'a deletion was confirmed before its time', { retryAfterMs: TRANSIENT_REJECTION_DELAY_MS })
    remark({ 'klaim.code': decision.rejection })
    log.warn({ decision: 'command.refused', command: command.type, claim_id: claim.status === 'none' ? undefined : claim.claimId, member_id: memberId, code: decision.rejection }, 'command rejected')
  }

  async function create (question: Static<typeof createClaim.question>): Promise<Static<typeof createClaim.answer>> {
    const { claim_id: claimId, wa_jid: waJid, username, template, template_version: templateVersion, language, idempotency_key_hash: idempotencyKeyHash } = question
    const memberId = memberIdOf(memberIdKey, waJid)
    const { decision, claim } = await ledger.execute(memberId, { type: 'Request', now: bus.clock.now().getTime(), isClosed: question.closed ?? false, claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash }, {})
    if (!decision.ok && decision.rejection === 'CLAIMS_CLOSED') {
      log.info({ decision: 'claim.refused', member_id: memberId, code: decision.rejection }, 'claim rejected')
      return { ok: false, rejection: decision.rejection }
    }
    if (claim.status === 'none') throw new Error('a request leaves a claim')
    const about = { claim_id: claim.claimId, member_id: memberId }
    if (decision.ok) {
      if (!decision.happens) log.info({ decision: 'claim.known', ...about }, 'the same claim was asked for again')
      return { ok: true, claim_id: claim.claimId }
    }
    remark({ 'klaim.code': decision.rejection })
    log.info({ decision: 'claim.refused', ...about, code: decision.rejection }, 'claim rejected')
    if (decision.rejection !== 'LEAVING') return { ok: false, rejection: 'ALREADY_CLAIMED', claim_id: claim.claimId }
    const departure = 'departure' in claim ? claim.departure : undefined
    return { ok: false, rejection: 'LEAVING', claim_id: claim.claimId, deletion_scheduled_at: departure ? new Date(departure.dueAt).toISOString() : null }
  }

  async function find (question: Static<typeof getClaim.question>): Promise<ClaimView | undefined> {
    const look = (): ClaimView | undefined =>
      'claim_id' in question ? projection.view(question.claim_id) : projection.newestOf('member_id' in question ? question.member_id : memberIdOf(memberIdKey, question.wa_jid))
    const found = look()
    if (found) return found
    // Another replica may have decided a moment ago.
    await ledger.caughtUp()
    return look()
  }

  async function erase (question: Static<typeof eraseMember.question>): Promise<Static<typeof eraseMember.answer>> {
    const memberId = 'member_id' in question ? question.member_id : 'wa_jid' in question ? memberIdOf(memberIdKey, question.wa_jid) : (await find(question))?.member_id
    // Of whom nothing is known nothing is said, either.
    if (memberId === undefined || !await find({ member_id: memberId })) return { ok: false, rejection: 'NOT_FOUND' }
    const { by, why } = question
    return await onWord(bus, { request: eraseMember, by, why, about: { memberId } }, async () => {
      const { decision } = await ledger.execute(memberId, { type: 'Erase', reason: 'asked' }, {})
      const code = decision.ok ? decision.happens ? undefined : 'NOT_FOUND' : decision.rejection
      log.info({ decision: 'erasure.asked', member_id: memberId, code, by, why }, 'a member is to be erased')
      if (!decision.ok) return { ok: false as const, rejection: 'HAS_SERVER' as const }
      return decision.happens ? { ok: true as const, member_id: memberId } : { ok: false as const, rejection: 'NOT_FOUND' as const }
    })
  }

  async function withStep (view: ClaimView): Promise<ClaimView> {
    if (view.status !== 'creating') return view
    const progress = await bus.last('SERVERS', `servers.${view.claim_id}.progressed`, [serverProgressed])
    return { ...view, step: progress ? (progress.event.data as Static<typeof serverProgressed.data>).step : 'queued' }
  }

  async function list ({ status, due_before: dueBefore, after, limit = PAGE_DEFAULT }: Static<typeof listClaims.question>): Promise<Static<typeof listClaims.answer>> {
    // The first of what is wanted, in the order of their ids. All of it is not put in order: of 100,000 claims a sweep reads 500 pages, and each would order all of them again.
    const page: ClaimView[] = []
    let wanted = 0
    for (const view of projection.views()) {
      const isWanted = (status === undefined || view.status === status) && (after === undefined || view.claim_id > after) &&
        (dueBefore === undefined || (view.deletion_scheduled_at !== null && !view.deletion_started && (view.status === 'deleting' || view.status === 'creating') && view.deletion_scheduled_at <= dueBefore))
      if (!isWanted) continue
      wanted++
      if (page.length === limit && view.claim_id > (page.at(-1) as ClaimView).claim_id) continue
      page.splice(placeOf(page, view.claim_id), 0, view)
      if (page.length > limit) page.pop()
    }
    const last = page.at(-1)
    return { ok: true, claims: page, ...(last && page.length < wanted ? { next: last.claim_id } : {}) }
  }

  return {
    responders: [
      answering(createClaim, create),
      answering(getClaim, async (question): Promise<Static<typeof getClaim.answer>> => {
        const view = await find(question)
        return view ? { ok: true, claim: await withStep(view) } : { ok: false, rejection: 'NOT_FOUND' }
      }),
      answering(listClaims, list),
      answering(eraseMember, erase),
      ...createOperating({ bus, ledger, log, graceMs, find: async (claimId) => await find({ claim_id: claimId }) }),
    ],
    serverHandlers: [
      on(serverReady, async ({ id, data: { claim_id: claimId, member_id: memberId, ...server } }) => {
        const { user_id, server_id, allocation_id, identifier, address, username, sealed_password } = server
        await obey(memberId, { type: 'ServerReady', claimId, server: { user_id, server_id, allocation_id, identifier, address, username, sealed_password } }, id)
        await obeyUnheardLeave(memberId)
      }),
      on(serverFailed, async ({ id, data }) => { await obey(data.member_id, { type: 'ServerFailed', claimId: data.claim_id, code: data.code, step: data.step }, id) }),
      on(serverDeleted, async ({ id, data }) => { await obey(data.member_id, { type: 'ServerDeleted', claimId: data.claim_id, deleteJobId: data.delete_job_id, userDeleted: data.user_deleted }, id) }),
    ],
    memberHandlers: [
      on(memberLeft, async ({ id, data }, delivery) => {
        await obey(ofMember(data), { type: 'Leave', movement: movementOf(data, delivery), now: bus.clock.now().getTime(), graceMs }, id)
      }),
      on(memberJoined, async ({ id, data }, delivery) => { await obey(ofMember(data), { type: 'Return', movement: movementOf(data, delivery) }, id) }),
    ],
    deletionHandlers: [
      on(deletionConfirmed, async ({ id, data }, { storedAt }) => {
        // The reaper confirms it again later: nothing is lost by not trying this one again.
        if (bus.clock.isSkewed()) {
          log.error({ decision: 'command.refused', claim_id: data.claim_id, member_id: data.member_id, code: 'CLOCK_SKEWED' }, 'no deletion starts until our clock and that of NATS agree')
          return
        }
        // A reading is no newer than what tells of it, whatever the clock of its reader said.
        const absentAt = Math.min(Date.parse(data.absent_at), storedAt.getTime())
        await obey(data.member_id, { type: 'ConfirmDeletion', deleteJobId: data.delete_job_id, absentAt, now: now().getTime(), evenIfPresent: data.even_if_present ?? false }, id)
      }),
      on(deletionRefuted, async ({ id, data }) => { await obey(data.member_id, { type: 'RefuteDeletion', deleteJobId: data.delete_job_id }, id) }),
      on(deletionPostponed, async ({ id, data }) => {
        // Only an outage changes what the member was promised; for the rest the reaper looks again by itself.
        if (data.reason === 'outage') await obey(data.member_id, { type: 'RescheduleDeletion', deleteJobId: data.delete_job_id, until: Date.parse(data.until) }, id)
      }),
    ],
  }

  /**
   * Who left after the group was asked and before the request was decided had no claim when their leave was heard, so nothing came of it. Seen: claim-store
   * stood still for some seconds with a request in hand. The leave has long been stored when the server is ready.
   */
  async function obeyUnheardLeave (memberId: string): Promise<void> {
    const left = await bus.last('MEMBERS', `members.${memberId}.left`, [memberLeft])
    if (!left) return
    const joined = await bus.last('MEMBERS', `members.${memberId}.joined`, [memberJoined])
    if (joined && joined.sequence > left.sequence) return
    const data = left.event.data as Static<typeof memberLeft.data>
    await obey(ofMember(data), { type: 'Leave', movement: movementOf(data, left), now: bus.clock.now().getTime(), graceMs }, left.event.id)
  }

  function movementOf ({ occurred_at: saidAt, observed_by: observedBy }: Static<typeof memberLeft.data>, { sequence, storedAt }: Pick<Delivery, 'sequence' | 'storedAt'>): Movement {
    return { sequence, at: movedAt(Date.parse(saidAt), storedAt.getTime(), observedBy) }
  }

  /** The pseudonym is computed here rather than believed: who does not hold its key cannot make anybody come or go. */
  function ofMember (data: { wa_jid: string, member_id: string }): string {
    const memberId = memberIdOf(memberIdKey, data.wa_jid)
    if (memberId !== data.member_id) throw permanent('MESSAGE_INVALID', 'a movement whose pseudonym is not that of its number')
    return memberId
  }
}

/** Where a claim belongs in what is in the order of ids. */
function placeOf (ordered: readonly ClaimView[], claimId: string): number {
  let [low, high] = [0, ordered.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ordered[middle] as ClaimView).claim_id < claimId) low = middle + 1
    else high = middle
  }
  return low
}
