// Between the decisions (claim.ts) and what is stored: events of the CLAIMS stream, and entries of the book. Pure.
import type { Static, TObject } from 'typebox'
import type { EventDefinition } from '../../contracts/define.ts'
import { claimActivated, claimDeleted, claimErased, claimFailed, claimRequested, claimRestored, deletionCancelled, deletionScheduled, deletionStarted, departureKey } from '../../contracts/events/claims.ts'
import type { BookEntry, ClaimView } from '../../contracts/requests.ts'
import type { Claim, ClaimEvent, Movement } from './claim.ts'

export const LEDGER_EVENTS: readonly EventDefinition[] = [claimRequested, claimActivated, claimFailed, deletionScheduled, deletionCancelled, deletionStarted, claimDeleted, claimErased, claimRestored]

/** What one decision is on the stream. `key` derives from the fact, so the same decision stored twice is stored once. */
export interface Written { readonly definition: EventDefinition, readonly key: string, readonly data: Record<string, unknown> }

const iso = (ms: number): string => new Date(ms).toISOString()

/** `claim` is the state before the event. */
export function written (claim: Claim, event: ClaimEvent): Written {
  if (event.type === 'Requested') {
    const { claimId, memberId, waJid, language, username, template, templateVersion, idempotencyKeyHash } = event
    const data = { claim_id: claimId, member_id: memberId, wa_jid: waJid, language, username, template, template_version: templateVersion, ...(idempotencyKeyHash === undefined ? {} : { idempotency_key_hash: idempotencyKeyHash }) }
    return write(claimRequested, claimId, data)
  }
  if (event.type === 'Restored') {
    const { claimId, memberId, waJid, language, status, at, server, code, deleteJobId, departures } = event
    return write(claimRestored, claimId, {
      claim_id: claimId, member_id: memberId, wa_jid: waJid, language, status, created_at: iso(at), departures, ...(server === undefined ? {} : { server }),
      ...(code === undefined ? {} : { code }), ...(deleteJobId === undefined ? {} : { delete_job_id: deleteJobId }), ...movementOf(event),
    })
  }
  if (claim.status === 'none') throw new Error(`${event.type} without a claim`)
  if (event.type === 'Erased') return write(claimErased, claim.claimId, { member_id: event.memberId, claims: event.claims.map(({ claimId, departures }) => ({ claim_id: claimId, departures })), reason: event.reason })
  const about = { claim_id: claim.claimId, member_id: claim.memberId, wa_jid: claim.waJid, language: claim.language }
  switch (event.type) {
    case 'Activated': {
      if (claim.status !== 'creating') throw new Error('only what is being made is activated')
      return write(claimActivated, claim.claimId, { ...about, ...event.server, template: claim.template, requested_at: iso(claim.askedAt) })
    }
    case 'Failed': return write(claimFailed, claim.claimId, { ...about, code: event.code, step: event.step })
    case 'DeletionScheduled': {
      const { deleteJobId, dueAt, leftAt, heldFrom, evenIfPresent } = event.departure
      return write(deletionScheduled, departureKey(deleteJobId, dueAt), {
        ...about, delete_job_id: deleteJobId, deletion_scheduled_at: iso(dueAt), left_at: iso(leftAt), reason: event.reason, ...(event.reason === 'operator' ? { operation: event.operation } : {}),
        ...(heldFrom === undefined ? {} : { held_from: iso(heldFrom) }), ...(evenIfPresent ? { even_if_present: evenIfPresent } : {}), ...movementOf(event),
      })
    }
    case 'DeletionCancelled': return write(deletionCancelled, event.deleteJobId, { ...about, delete_job_id: event.deleteJobId, reason: event.reason, ...movementOf(event) })
    case 'DeletionStarted': {
      if (claim.status !== 'leaving') throw new Error('a deletion starts from leaving only')
      return write(deletionStarted, event.deleteJobId, { ...about, delete_job_id: event.deleteJobId, user_id: claim.server.user_id, server_id: claim.server.server_id })
    }
    case 'Deleted': return write(claimDeleted, event.deleteJobId, { ...about, delete_job_id: event.deleteJobId, user_deleted: event.userDeleted })
  }
}

function write<Schema extends TObject> (definition: EventDefinition<Schema>, key: string, data: Static<Schema>): Written {
  return { definition: definition as unknown as EventDefinition, key, data: data as Record<string, unknown> }
}

function movementOf ({ movement }: { movement: Movement | undefined }): { moved_sequence?: number, moved_at?: string } {
  return movement ? { moved_sequence: movement.sequence, moved_at: iso(movement.at) } : {}
}

function readMovement ({ moved_sequence: sequence, moved_at: at }: { moved_sequence?: number, moved_at?: string }): Movement | undefined {
  return sequence === undefined || at === undefined ? undefined : { sequence, at: Date.parse(at) }
}

/** The stored event as claim.ts knows it. `data` has been checked against its definition; `time` is RFC 3339. */
export function read (type: string, data: unknown, time: string): ClaimEvent {
  switch (type) {
    case claimRequested.type: {
      const d = data as Static<typeof claimRequested.data>
      return {
        type: 'Requested', at: Date.parse(time), claimId: d.claim_id, memberId: d.member_id, waJid: d.wa_jid, language: d.language, username: d.username, template: d.template,
        templateVersion: d.template_version, idempotencyKeyHash: d.idempotency_key_hash,
      }
    }
    case claimActivated.type: {
      const { user_id, server_id, allocation_id, identifier, address, username, sealed_password } = data as Static<typeof claimActivated.data>
      return { type: 'Activated', server: { user_id, server_id, allocation_id, identifier, address, username, sealed_password } }
    }
    case claimFailed.type: {
      const { code, step } = data as Static<typeof claimFailed.data>
      return { type: 'Failed', code, step }
    }
    case deletionScheduled.type: {
      const d = data as Static<typeof deletionScheduled.data>
      const departure = {
        deleteJobId: d.delete_job_id, dueAt: Date.parse(d.deletion_scheduled_at), leftAt: Date.parse(d.left_at),
        ...(d.held_from === undefined ? {} : { heldFrom: Date.parse(d.held_from) }), ...(d.even_if_present ? { evenIfPresent: d.even_if_present } : {}),
      }
      if (d.reason === 'operator' && d.operation) return { type: 'DeletionScheduled', departure, reason: d.reason, operation: d.operation, movement: undefined }
      return { type: 'DeletionScheduled', departure, reason: d.reason === 'outage' ? 'outage' : 'left', movement: readMovement(d) }
    }
    case deletionCancelled.type: {
      const d = data as Static<typeof deletionCancelled.data>
      return { type: 'DeletionCancelled', deleteJobId: d.delete_job_id, reason: d.reason, movement: readMovement(d) }
    }
    case deletionStarted.type: return { type: 'DeletionStarted', deleteJobId: (data as Static<typeof deletionStarted.data>).delete_job_id }
    case claimDeleted.type: {
      const d = data as Static<typeof claimDeleted.data>
      return { type: 'Deleted', deleteJobId: d.delete_job_id, userDeleted: d.user_deleted }
    }
    case claimErased.type: {
      const { member_id, claims, reason } = data as Static<typeof claimErased.data>
      return { type: 'Erased', memberId: member_id, claims: claims.map(({ claim_id, departures }) => ({ claimId: claim_id, departures })), reason }
    }
    case claimRestored.type: {
      const d = data as Static<typeof claimRestored.data>
      return {
        type: 'Restored', status: d.status, at: Date.parse(d.created_at), claimId: d.claim_id, memberId: d.member_id, waJid: d.wa_jid, language: d.language, server: d.server,
        code: d.code, deleteJobId: d.delete_job_id, departures: d.departures, movement: readMovement(d),
      }
    }
    default: throw new Error(`${type} is no event of the ledger`)
  }
}

/** What stays in the view of a claim when its state no longer knows it. */
export type Lasting = Pick<ClaimView, 'user_id' | 'server_id' | 'allocation_id' | 'delete_job_id' | 'created_at'>

/** What the event that a claim was restored by says of the events that are lost; undefined for every other event. */
export function lasting (event: ClaimEvent): Lasting | undefined {
  if (event.type !== 'Restored') return undefined
  const { server, deleteJobId, at } = event
  return { user_id: server?.user_id ?? null, server_id: server?.server_id ?? null, allocation_id: server?.allocation_id ?? null, delete_job_id: deleteJobId ?? null, created_at: iso(at) }
}

/** The view of a claim after an event at `time` (RFC 3339). `before` is what stays of the view of the same claim, absent for its first event. */
export function viewed (claim: Claim, before: Lasting | undefined, time: string): ClaimView {
  if (claim.status === 'none') throw new Error('no claim, no view')
  const server = 'server' in claim ? claim.server : undefined
  const departure = 'departure' in claim ? claim.departure : undefined
  const username = server?.username ?? claim.username
  const view: ClaimView = {
    claim_id: claim.claimId,
    wa_jid: claim.waJid,
    status: claim.status === 'leaving' ? 'deleting' : claim.status,
    // What the panel gave stays in the book after the deletion, so that it can still be told what was deleted.
    user_id: server?.user_id ?? before?.user_id ?? null,
    server_id: server?.server_id ?? before?.server_id ?? null,
    allocation_id: server?.allocation_id ?? before?.allocation_id ?? null,
    deletion_scheduled_at: departure ? iso(departure.dueAt) : null,
    delete_job_id: departure?.deleteJobId ?? (claim.status === 'deleted' ? before?.delete_job_id ?? null : null),
    created_at: before?.created_at ?? time,
    updated_at: time,
    last_event_at: time,
    member_id: claim.memberId,
    language: claim.language,
  }
  if (claim.template !== undefined) view.template = claim.template
  if (claim.templateVersion !== undefined) view.template_version = claim.templateVersion
  if (username !== undefined) view.username = username
  if (claim.status === 'failed' && claim.code !== undefined) view.failure_code = claim.code
  if (claim.status === 'deleting') view.deletion_started = true
  if (departure?.heldFrom !== undefined) view.deletion_held_from = iso(departure.heldFrom)
  if (departure?.evenIfPresent) view.deletion_even_if_present = true
  return view
}

/** A book entry has these fields, in this order, and no others. */
export function entryOf (view: BookEntry): BookEntry {
  const { claim_id, wa_jid, status, user_id, server_id, allocation_id, deletion_scheduled_at, delete_job_id, created_at, updated_at, last_event_at } = view
  return { claim_id, wa_jid, status, user_id, server_id, allocation_id, deletion_scheduled_at, delete_job_id, created_at, updated_at, last_event_at }
}
