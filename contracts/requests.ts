// Questions with an answer, over NATS request/reply. The services API shows them in `nats service ls`.
import { Type, type Static, type TSchema } from 'typebox'
import { ClaimStatus, FailureCode, OperatorRefusal, RepairRefusal, Step, UndeliverableCode } from './codes.ts'
import { defineRequest } from './define.ts'
import { word } from './events/operations.ts'
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
  /** Held by an operator: when it would be due without. */
  deletion_held_from: Type.Optional(Timestamp),
  /** An operator wants the server gone whoever is in the group. */
  deletion_even_if_present: Type.Optional(Type.Boolean()),
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
    /** No new claims are taken: only who asks again for one that was taken, under the same key, is answered it. */
    closed: Type.Optional(Type.Boolean()),
  }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), claim_id: ClaimId }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('ALREADY_CLAIMED'), claim_id: ClaimId }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('CLAIMS_CLOSED') }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('LEAVING'), claim_id: ClaimId, deletion_scheduled_at: Nullable(Timestamp) }),
  ]),
  // Longer than a cluster of NATS takes to choose a leader of the ledger, and less than a visitor waits. The same claim_id is the same claim.
  timeoutMs: 12_000, isRepeatable: true,
})

export const getClaim = defineRequest({
  name: 'get', service: 'claim-store', callers: ['gateway', 'reaper', 'bot', 'provisioner', 'notifier'],
  summary: 'One claim by its id, or the newest of a member',
  question: Type.Union([Type.Object({ claim_id: ClaimId }), Type.Object({ member_id: MemberId }), Type.Object({ wa_jid: WaJid })]),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), claim: ClaimView }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('NOT_FOUND') }),
  ]),
  isRepeatable: true,
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
  isRepeatable: true,
})

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
  question: Type.Object({ claim_id: ClaimId, by: Type.Optional(word.by), why: Type.Optional(word.why) }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true) }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Union([UndeliverableCode, FailureCode, Type.Literal('TOO_SOON'), Type.Literal('NOT_FOUND'), Type.Literal('NOT_ACTIVE'), Type.Literal('BOT_OFFLINE')]) }),
  ]),
  timeoutMs: 60_000,
})

export const memberSeen = defineRequest({
  name: 'seen', service: 'bot', callers: ['claim-store'],
  summary: 'Is the member of a claim in the group, as it is read anew?',
  question: Type.Object({ claim_id: ClaimId }),
  answer: Type.Union([
    Type.Object({ ok: Type.Literal(true), seen: Type.Enum(['present', 'absent', 'unknown']) }),
    Type.Object({ ok: Type.Literal(false), rejection: Type.Literal('NOT_FOUND') }),
  ]),
  // Reads the group, and for a hidden number asks WhatsApp.
  timeoutMs: 25_000, isRepeatable: true,
})

/** What an operator asks of one claim. `dry_run`: what would come of it, and nothing is done or said. */
const ofClaim = { claim_id: ClaimId, dry_run: Type.Optional(Type.Boolean()), ...word }
export const OperationAnswer = Type.Union([
  Type.Object({
    ok: Type.Literal(true),
    /** `already`: it was so before. */
    outcome: Type.Enum(['done', 'already']),
    /** The claim that a retry makes. */
    claim_id: Type.Optional(ClaimId),
    /** When the server goes then. */
    deletion_scheduled_at: Type.Optional(Timestamp),
  }),
  Type.Object({ ok: Type.Literal(false), rejection: OperatorRefusal }),
])
export type OperationAnswer = Static<typeof OperationAnswer>
const operation = { service: 'claim-store', callers: [], answer: OperationAnswer } as const

export const retryClaim = defineRequest({
  ...operation, name: 'retry', summary: 'A claim that failed is asked for once more, as a claim of its own, for its member if they are in the group',
  question: Type.Object({ ...ofClaim, template_version: Type.Optional(TemplateVersion) }), timeoutMs: 40_000,
})

export const deleteClaim = defineRequest({
  ...operation, name: 'delete', summary: 'The server of a claim goes without the grace, and otherwise like every other',
  question: Type.Object({ ...ofClaim, even_if_present: Type.Optional(Type.Boolean()) }), timeoutMs: 40_000,
})

/** Two weeks. */
export const HOLD_HOURS_MAX = 336
export const holdDeletion = defineRequest({
  ...operation, name: 'hold', summary: 'A scheduled deletion waits until it is released, so many hours from now at most',
  question: Type.Object({ ...ofClaim, hours: Type.Integer({ minimum: 1, maximum: HOLD_HOURS_MAX }) }), timeoutMs: 15_000,
})

export const releaseDeletion = defineRequest({
  ...operation, name: 'release', summary: 'A deletion that is held is due when it was before, or in an hour',
  question: Type.Object(ofClaim), timeoutMs: 15_000,
})

export const EXTEND_HOURS_MAX = 72
export const extendDeletion = defineRequest({
  ...operation, name: 'extend', summary: 'A scheduled deletion is due so many hours later',
  question: Type.Object({ ...ofClaim, hours: Type.Integer({ minimum: 1, maximum: EXTEND_HOURS_MAX }) }), timeoutMs: 15_000,
})

const door = {
  service: 'gateway', callers: [], timeoutMs: 10_000,
  question: Type.Object({ dry_run: Type.Optional(Type.Boolean()), ...word }),
  answer: Type.Object({ ok: Type.Literal(true), outcome: Type.Enum(['done', 'already']) }),
} as const
export const closeClaims = defineRequest({ ...door, name: 'close_claims', summary: 'No gateway takes new claims; those that were taken go on' })
export const openClaims = defineRequest({ ...door, name: 'open_claims', summary: 'New claims are taken again' })

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
  name: 'brake', service: 'reaper', callers: ['provisioner'],
  summary: 'Is the brake on?',
  question: Type.Object({}),
  answer: Type.Object({ ok: Type.Literal(true), ...brakeState.properties }),
})

export const setBrake = defineRequest({
  name: 'set_brake', service: 'reaper', callers: [],
  summary: 'An operator holds all deletions, or releases them',
  question: Type.Object({ tripped: Type.Boolean(), ...word }),
  answer: Type.Object({ ok: Type.Literal(true), ...brakeState.properties }),
})

/** What came of a step that mends drift (`scripts/drift apply`). `already`: there was nothing left to do. */
export const RepairAnswer = Type.Union([
  Type.Object({ ok: Type.Literal(true), outcome: Type.Enum(['done', 'already']) }),
  Type.Object({ ok: Type.Literal(false), rejection: RepairRefusal }),
])
export type RepairAnswer = Static<typeof RepairAnswer>

export const deleteStrayServer = defineRequest({
  name: 'delete_server', service: 'provisioner', callers: [],
  summary: 'The server of a claim that failed or is over is deleted from the panel, if it is this one, in the hands of its member',
  question: Type.Object({ claim_id: ClaimId, server_id: PanelId, ...word }),
  answer: RepairAnswer,
  // The panel waits for the node.
  timeoutMs: 120_000,
})

export const deleteStrayAccount = defineRequest({
  name: 'delete_account', service: 'provisioner', callers: [],
  summary: 'The account of a member without a living claim is deleted from the panel, if it is theirs and owns nothing',
  question: Type.Object({ member_id: MemberId, user_id: PanelId, ...word }),
  answer: RepairAnswer,
  timeoutMs: 120_000,
})

export const scheduleDeletion = defineRequest({
  name: 'schedule', service: 'reaper', callers: [],
  summary: 'The wake-up of a scheduled deletion is made again where it is missing',
  question: Type.Object({ claim_id: ClaimId, ...word }),
  answer: RepairAnswer,
})

export const tellMovement = defineRequest({
  name: 'tell_movement', service: 'bot', callers: [],
  summary: 'The group is read anew, and that the member of a claim came or left is said once more if it shows so',
  question: Type.Object({ claim_id: ClaimId, movement: Type.Enum(['joined', 'left']), ...word }),
  answer: RepairAnswer,
  timeoutMs: 30_000,
})
