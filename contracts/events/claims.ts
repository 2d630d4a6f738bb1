// CLAIMS: the ledger. Only claim-store writes it, one event per decision, each with the expected last sequence of the member's subjects.
import { Type } from 'typebox'
import { CancelReason, FailureCode, Step } from '../codes.ts'
import { defineEvent } from '../define.ts'
import { ClaimId, DeleteJobId, Language, MemberId, PanelId, Sealed, TemplateName, TemplateVersion, Timestamp, Username, WaJid } from '../ids.ts'

/** Whose claim it is, in every event, so that no reader needs to remember. */
const claim = { claim_id: ClaimId, member_id: MemberId, wa_jid: WaJid, language: Language }

/** What the provisioner proved: the server exists, is installed, and answers at this address. */
export const ServerFacts = Type.Object({
  user_id: PanelId,
  server_id: PanelId,
  allocation_id: PanelId,
  /** The panel's short identifier, as in the address of the server's page. */
  identifier: Type.String({ pattern: '^[0-9a-z]{8}$' }),
  address: Type.Object({ host: Type.String({ minLength: 1, maxLength: 253 }), port: Type.Integer({ minimum: 1, maximum: 65535 }) }),
  /** The login name as the panel has it: the chosen one, or that with a suffix where somebody else holds it. */
  username: Username,
  sealed_password: Sealed,
})

/** The message of MEMBERS behind a decision: where it stands in its stream, and when it happened. What is not newer is a late copy. */
const movement = { moved_sequence: Type.Optional(Type.Integer({ minimum: 1 })), moved_at: Type.Optional(Timestamp) }

function ofClaim<Fields extends Parameters<typeof Type.Object>[0]> (name: string, summary: string, fields: Fields) {
  const data = Type.Object({ ...claim, ...fields })
  return { version: 1, name: `claim.${name}`, authors: ['claim-store'] as const, stream: 'CLAIMS', summary, data }
}

export const claimRequested = defineEvent({
  ...ofClaim('requested', 'A member asked for a server, and may have one', {
    username: Username,
    template: TemplateName,
    template_version: TemplateVersion,
    /** SHA-256 (hex) of the caller's Idempotency-Key, so that the same tap finds the same claim. */
    idempotency_key_hash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  }),
  subject: 'claims.{member_id}.requested',
})

export const claimActivated = defineEvent({
  ...ofClaim('activated', 'The server exists and answers; the login is to be sent', {
    ...ServerFacts.properties, template: TemplateName,
    /** When the claim was accepted: how long its member waited is measured from it. */
    requested_at: Type.Optional(Timestamp),
  }),
  subject: 'claims.{member_id}.activated',
})

export const claimFailed = defineEvent({
  ...ofClaim('failed', 'The server could not be made; what was half-made is removed; the member may claim again', { code: FailureCode, step: Step }),
  subject: 'claims.{member_id}.failed',
})

export const deletionScheduled = defineEvent({
  ...ofClaim('deletion_scheduled', 'The member left; the server goes at the stated time unless they return', {
    delete_job_id: DeleteJobId,
    deletion_scheduled_at: Timestamp,
    left_at: Timestamp,
    /** `outage`: the first time had passed while we were away, so the member gets a fresh warning and a later time. */
    reason: Type.Union([Type.Literal('left'), Type.Literal('outage'), Type.Literal('operator')]),
    /** Of reason `operator`: what they asked for. */
    operation: Type.Optional(Type.Enum(['delete', 'hold', 'release', 'extend'])),
    /** Held: when it would have been due without. */
    held_from: Type.Optional(Timestamp),
    /** An operator wants the server gone whoever is in the group. */
    even_if_present: Type.Optional(Type.Literal(true)),
    ...movement,
  }),
  subject: 'claims.{member_id}.deletion_scheduled',
})

/** What makes a scheduled deletion this one, see `Said.key`: whoever knows job and time (epoch ms) knows the id of the event that decided it. */
export const departureKey = (deleteJobId: string, dueAt: number): string => `${deleteJobId}:${dueAt}`

export const deletionCancelled = defineEvent({
  ...ofClaim('deletion_cancelled', 'The server stays', { delete_job_id: DeleteJobId, reason: CancelReason, ...movement }),
  subject: 'claims.{member_id}.deletion_cancelled',
})

export const deletionStarted = defineEvent({
  ...ofClaim('deletion_started', 'The point of no return: the absence is confirmed and the panel is told to delete', {
    delete_job_id: DeleteJobId, user_id: PanelId, server_id: PanelId,
  }),
  subject: 'claims.{member_id}.deletion_started',
})

/**
 * The member's claims are forgotten. Holds no number, so that it may stay for a while after what it is about: 30 days, in which every service
 * forgets its own part, and a copy of the book that still knows the member learns of it.
 */
export const claimErased = defineEvent({
  version: 1, name: 'claim.erased', authors: ['claim-store'], stream: 'CLAIMS', subject: 'claims.{member_id}.erased',
  summary: 'The member has no server any more, and everything about their claims is to be forgotten',
  data: Type.Object({
    member_id: MemberId,
    /** Newest last. Departures number the jobs, `<claim_id>-d1` and on. */
    claims: Type.Array(Type.Object({ claim_id: ClaimId, departures: Type.Integer({ minimum: 0, maximum: 999_999 }) }), { minItems: 1, maxItems: 500 }),
    /** `retention`: so long after the end of the last claim that nothing is kept. */
    reason: Type.Union([Type.Literal('asked'), Type.Literal('retention')]),
  }),
})

/**
 * Where the stream was lost and no backup is to be had, scripts/reseed says what the book and the panel still know of a claim. It stands for the
 * claim's whole history, so nobody acts on it: whoever was to be told or to do something has been told and has done it. A departure that still
 * waits follows as the ordinary event.
 */
export const claimRestored = defineEvent({
  ...ofClaim('restored', 'The ledger was lost, and this is what the book still knows of one claim', {
    status: Type.Union([Type.Literal('active'), Type.Literal('failed'), Type.Literal('deleted')]),
    created_at: Timestamp,
    /** Always there while active. */
    server: Type.Optional(Type.Pick(ServerFacts, ['user_id', 'server_id', 'allocation_id'])),
    code: Type.Optional(FailureCode),
    /** Of a deleted claim: by which it went. */
    delete_job_id: Type.Optional(DeleteJobId),
    /** At least so many departures it has had: the next one's number must be new to everybody. */
    departures: Type.Integer({ minimum: 0, maximum: 999_999 }),
    ...movement,
  }),
  subject: 'claims.{member_id}.restored',
})

export const claimDeleted = defineEvent({
  ...ofClaim('deleted', 'The server is gone from the panel; the member may claim again after returning', {
    delete_job_id: DeleteJobId,
    /** False where the panel account owns something else and therefore stays. */
    user_deleted: Type.Boolean(),
  }),
  subject: 'claims.{member_id}.deleted',
})
