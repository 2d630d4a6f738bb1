// Questions with an answer, over NATS request/reply. The services API shows them in `nats service ls`.
import { Type, type Static, type TSchema } from 'typebox'
import { ClaimStatus, FailureCode, Step, UndeliverableCode } from './codes.ts'
import { defineRequest } from './define.ts'
import { ClaimId, DeleteJobId, Language, MemberId, PanelId, Sealed, TemplateName, TemplateVersion, Timestamp, Username, WaJid } from './ids.ts'

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])

/** A claim as the book keeps it, with exactly these fields. Times are RFC 3339 UTC. */
export const BookEntry = Type.Object({
  claim_id: ClaimId,
  wa_jid: WaJid,
  status: ClaimStatus,
  user_id: Nullable(PanelId),
  server_id: Nullable(PanelId),
  allocation_id: Nullable(PanelId),
  deletion_scheduled_at: Nullable(Timestamp),
  delete_job_id: Nullable(DeleteJobId),
  created_at: Timestamp,
  updated_at: Timestamp,
  last_event_at: Timestamp,
})
export type BookEntry = Static<typeof BookEntry>

/** What the ledger knows of a claim beside its book entry; absent where only the book is left. */
export const ClaimView = Type.Object({
  ...BookEntry.properties,
  member_id: MemberId,
  language: Type.Optional(Language),
  template: Type.Optional(TemplateName),
  template_version: Type.Optional(TemplateVersion),
  username: Type.Optional(Username),
  failure_code: Type.Optional(FailureCode),
  /** The newest step, while creating. */
  step: Type.Optional(Step),
  /** True after the point of no return. */
  deletion_started: Type.Optional(Type.Boolean()),
})
export type ClaimView = Static<typeof ClaimView>

export const createClaim = defineRequest({
  name: 'create', service: 'claim-store', callers: ['gateway'],
  summary: 'A verified member asks for a server',
  question: Type.Object({
    claim_id: ClaimId,
    wa_jid: WaJid,
    username: Username,
    template: TemplateName,
    template_version: TemplateVersion,
    language: Language,
    idempotency_key_hash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), claim_id: ClaimId }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('ALREADY_CLAIMED'), claim_id: ClaimId }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('LEAVING'), claim_id: ClaimId, deletion_scheduled_at: Nullable(Timestamp) }),
  ]),
})

export const getClaim = defineRequest({
  name: 'get', service: 'claim-store', callers: ['gateway', 'reaper', 'bot', 'provisioner', 'notifier'],
  summary: 'One claim by its id, or the newest of a member',
  question: Type.Union([Type.Object({ claim_id: ClaimId }), Type.Object({ member_id: MemberId }), Type.Object({ wa_jid: WaJid })]),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), claim: ClaimView }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('NOT_FOUND') }),
  ]),
})

export const listClaims = defineRequest({
  name: 'list', service: 'claim-store', callers: ['provisioner', 'reaper'],
  summary: 'Claims in the order of their ids, page by page',
  question: Type.Object({
    status: Type.Optional(ClaimStatus),
    /** Only claims whose deletion is scheduled at or before this time, and not yet started. */
    due_before: Type.Optional(Timestamp),
    after: Type.Optional(ClaimId),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
  }),
  answer: Type.Object({ ok: Type.Literal(true), claims: Type.Array(ClaimView, { maxItems: 200 }), next: Type.Optional(ClaimId) }),
})

/** Who wants it and why, for the log. */
const word = { by: Type.String({ minLength: 1, maxLength: 80 }), why: Type.String({ minLength: 1, maxLength: 200 }) }

export const eraseMember = defineRequest({
  name: 'erase', service: 'claim-store', callers: ['bot'],
  summary: 'A former member is forgotten: everything about all claims of the member who is meant',
  question: Type.Union([
    Type.Object({ claim_id: ClaimId, ...word }), Type.Object({ member_id: MemberId, ...word }), Type.Object({ wa_jid: WaJid, ...word }),
  ]),
  answer: Type.Union([
    /** Decided, and irrevocable. What is stored goes within moments. */
    Type.Object({ ok: Type.Literal(true), member_id: MemberId }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Union([Type.Literal('NOT_FOUND'), Type.Literal('HAS_SERVER')]) }),
  ]),
})

export const resetPassword = defineRequest({
  name: 'reset_password', service: 'provisioner', callers: ['bot'],
  summary: 'A new panel password for an active claim, sealed to the bot',
  question: Type.Object({ claim_id: ClaimId, member_id: MemberId, user_id: PanelId }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), username: Username, sealed_password: Sealed }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Union([FailureCode, Type.Literal('TOO_SOON')]), retry_after_s: Type.Optional(Type.Integer({ minimum: 1 })) }),
  ]),
  timeoutMs: 30_000,
})

export const sendLogin = defineRequest({
  name: 'send_login', service: 'bot', callers: [],
  summary: "A new password is set and sent to the member (what SANDI does, on an operator's word)",
  question: Type.Object({ claim_id: ClaimId }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true) }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Union([UndeliverableCode, FailureCode, Type.Literal('TOO_SOON'), Type.Literal('NOT_FOUND'), Type.Literal('NOT_ACTIVE'), Type.Literal('BOT_OFFLINE')]) }),
  ]),
  timeoutMs: 60_000,
})

/** The watched group as the bot last saw it, without names. */
export const rosterSummary = defineRequest({
  name: 'roster', service: 'bot', callers: ['reaper'],
  summary: 'Size and age of the roster, and whether it can be relied on',
  question: Type.Object({}),
  answer: Type.Object({
    ok: Type.Literal(true),
    state: Type.Union([Type.Literal('known'), Type.Literal('unknown')]),
    size: Type.Integer({ minimum: 0 }),
    seen_at: Nullable(Timestamp),
    connection: Type.String(),
  }),
})

export const brakeState = Type.Object({
  tripped: Type.Boolean(),
  tripped_at: Nullable(Timestamp),
  reason: Nullable(Type.String({ maxLength: 200 })),
  /** From then on deletions go on by themselves, each absence confirmed anew. */
  releases_at: Nullable(Timestamp),
})

export const getBrake = defineRequest({
  name: 'brake', service: 'reaper', callers: [],
  summary: 'Is the brake on?',
  question: Type.Object({}),
  answer: Type.Object({ ok: Type.Literal(true), ...brakeState.properties }),
})

export const setBrake = defineRequest({
  name: 'set_brake', service: 'reaper', callers: [],
  summary: 'An operator holds all deletions, or releases them',
  question: Type.Object({ tripped: Type.Boolean(), by: Type.String({ minLength: 1, maxLength: 80 }), why: Type.String({ minLength: 1, maxLength: 200 }) }),
  answer: Type.Object({ ok: Type.Literal(true), ...brakeState.properties }),
})
