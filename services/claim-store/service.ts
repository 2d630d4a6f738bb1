// What reaches claim-store, turned into commands; what it decides, turned into answers.
import type { Static } from 'typebox'
import { deletionConfirmed, deletionPostponed, deletionRefuted } from '../../contracts/events/deletions.ts'
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import { serverDeleted, serverFailed, serverProgressed, serverReady } from '../../contracts/events/servers.ts'
import { createClaim, eraseMember, getClaim, listClaims, type ClaimView } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { on, type Handler } from '../common/consume.ts'
import { permanent, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { memberIdOf } from '../common/member-id.ts'
import type { Command } from './claim.ts'
import type { Ledger } from './ledger.ts'

const PAGE_DEFAULT = 50
const TRANSIENT_REJECTION_DELAY_MS = 1_000

export interface ClaimService { readonly responders: readonly Responder[], readonly serverHandlers: readonly Handler[], readonly memberHandlers: readonly Handler[], readonly deletionHandlers: readonly Handler[] }

export function createClaimService (options: { ledger: Ledger, bus: Bus, log: Log, memberIdKey: string, graceMs: number, now: () => Date }): ClaimService {
  const { ledger, bus, log, memberIdKey, graceMs, now } = options
  const { projection } = ledger

  /** A fact from another service. A rejection is a finding, not a fault: trying again would change nothing. */
  async function obey (memberId: string, command: Command, causation: string): Promise<void> {
    const { decision, claim } = await ledger.execute(memberId, command, { causation })
    const facts = { memberId, claimId: claim.status === 'none' ? undefined : claim.claimId, command: command.type }
    if (!decision.ok) {
      // The clocks of two machines differ by a little: what is not due yet is due soon.
      if (decision.rejection === 'NOT_DUE') throw transient('NOT_DUE', 'a deletion was confirmed before its time', { retryAfterMs: TRANSIENT_REJECTION_DELAY_MS })
      log.warn({ ...facts, rejection: decision.rejection }, 'command rejected')
    } else if (decision.happens) {
      log.info({ ...facts, event: decision.happens.type }, 'decided')
    }
  }

  async function create (question: Static<typeof createClaim.question>): Promise<Static<typeof createClaim.answer>> {
    const { claim_id: claimId, wa_jid: waJid, username, template, template_version: templateVersion, language, idempotency_key_hash: idempotencyKeyHash } = question
    const memberId = memberIdOf(memberIdKey, waJid)
    const { decision, claim } = await ledger.execute(memberId, { type: 'Request', now: now().getTime(), claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash }, {})
    if (claim.status === 'none') throw new Error('a request leaves a claim')
    log.info({ claimId: claim.claimId, memberId, ...(decision.ok ? { accepted: true } : { rejection: decision.rejection }) }, 'claim asked for')
    if (decision.ok) return { ok: true, claim_id: claim.claimId }
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
    if (memberId === undefined) return { ok: false, rejection: 'NOT_FOUND' }
    const { decision } = await ledger.execute(memberId, { type: 'Erase', reason: 'asked' }, {})
    const { by, why } = question
    log.info({ memberId, by, why, result: decision.ok ? decision.happens?.type ?? 'NOT_FOUND' : decision.rejection }, 'a member is to be erased')
    if (!decision.ok) return { ok: false, rejection: 'HAS_SERVER' }
    return decision.happens ? { ok: true, member_id: memberId } : { ok: false, rejection: 'NOT_FOUND' }
  }

  async function withStep (view: ClaimView): Promise<ClaimView> {
    if (view.status !== 'creating') return view
    const progress = await bus.last('SERVERS', `servers.${view.claim_id}.progressed`, [serverProgressed])
    return { ...view, step: progress ? (progress.event.data as Static<typeof serverProgressed.data>).step : 'queued' }
  }

  async function list ({ status, due_before: dueBefore, after, limit = PAGE_DEFAULT }: Static<typeof listClaims.question>): Promise<Static<typeof listClaims.answer>> {
    const wanted = [...projection.views()].filter((view) =>
      (status === undefined || view.status === status) && (after === undefined || view.claim_id > after) &&
      (dueBefore === undefined || (view.deletion_scheduled_at !== null && !view.deletion_started && (view.status === 'deleting' || view.status === 'creating') && view.deletion_scheduled_at <= dueBefore)))
    const page = wanted.toSorted((one, two) => one.claim_id < two.claim_id ? -1 : 1).slice(0, limit)
    const last = page.at(-1)
    return { ok: true, claims: page, ...(last && page.length < wanted.length ? { next: last.claim_id } : {}) }
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
    ],
    serverHandlers: [
      on(serverReady, async ({ id, data: { claim_id: claimId, member_id: memberId, ...server } }) => {
        const { user_id, server_id, allocation_id, identifier, address, username, sealed_password } = server
        await obey(memberId, { type: 'ServerReady', claimId, server: { user_id, server_id, allocation_id, identifier, address, username, sealed_password } }, id)
      }),
      on(serverFailed, async ({ id, data }) => { await obey(data.member_id, { type: 'ServerFailed', claimId: data.claim_id, code: data.code, step: data.step }, id) }),
      on(serverDeleted, async ({ id, data }) => { await obey(data.member_id, { type: 'ServerDeleted', claimId: data.claim_id, deleteJobId: data.delete_job_id, userDeleted: data.user_deleted }, id) }),
    ],
    memberHandlers: [
      on(memberLeft, async ({ id, data }, { sequence }) => {
        await obey(ofMember(data), { type: 'Leave', movement: { sequence, at: Date.parse(data.occurred_at) }, now: now().getTime(), graceMs }, id)
      }),
      on(memberJoined, async ({ id, data }, { sequence }) => { await obey(ofMember(data), { type: 'Return', movement: { sequence, at: Date.parse(data.occurred_at) } }, id) }),
    ],
    deletionHandlers: [
      on(deletionConfirmed, async ({ id, data }) => {
        await obey(data.member_id, { type: 'ConfirmDeletion', deleteJobId: data.delete_job_id, absentAt: Date.parse(data.absent_at), now: now().getTime() }, id)
      }),
      on(deletionRefuted, async ({ id, data }) => { await obey(data.member_id, { type: 'RefuteDeletion', deleteJobId: data.delete_job_id }, id) }),
      on(deletionPostponed, async ({ id, data }) => {
        // Only an outage changes what the member was promised; for the rest the reaper looks again by itself.
        if (data.reason === 'outage') await obey(data.member_id, { type: 'RescheduleDeletion', deleteJobId: data.delete_job_id, until: Date.parse(data.until) }, id)
      }),
    ],
  }

  /** The pseudonym is computed here rather than believed: who does not hold its key cannot make anybody come or go. */
  function ofMember (data: { wa_jid: string, member_id: string }): string {
    const memberId = memberIdOf(memberIdKey, data.wa_jid)
    if (memberId !== data.member_id) throw permanent('MESSAGE_INVALID', 'a movement whose pseudonym is not that of its number')
    return memberId
  }
}
