// What crosses HTTP: the public API of the gateway, and the bot's internal port.
import { Type, type Static } from 'typebox'
import { ClaimStatus, FailureCode, HTTP_CODES, Step, WEBHOOK_CODES, type HttpCode, type WebhookCode } from './codes.ts'
import { ClaimId, GroupId, MemberId, TemplateName, TemplateVersion, Timestamp, Username, WaJid } from './ids.ts'

/** One shape for every error. `message` is in the caller's language. */
export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.Enum([...Object.keys(HTTP_CODES), ...Object.keys(WEBHOOK_CODES)] as Array<HttpCode | WebhookCode>),
    message: Type.String(),
    /** The field that is wrong, for INVALID_*. */
    field: Type.Optional(Type.String()),
    /** The claim that stands in the way, for ALREADY_CLAIMED and LEAVING. */
    claim_id: Type.Optional(ClaimId),
    deletion_scheduled_at: Type.Optional(Timestamp),
    /** Seconds, the same as the header `Retry-After`. */
    retry_after: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
})
export type ErrorBody = Static<typeof ErrorBody>

/** `POST /api/claim`. The number is taken as people type it and normalised by the gateway. */
export const ClaimForm = Type.Object({
  username: Username,
  /** Accepted and checked, then dropped: the form does not prove that the visitor owns the number, so a chosen password is never used. */
  password: Type.Optional(Type.String({ minLength: 8, maxLength: 128 })),
  wa_number_e164: Type.String({ minLength: 5, maxLength: 32, examples: ['0812 0000 0001', '+62 813-0000-0099'] }),
  template: TemplateName,
}, { additionalProperties: false })
export type ClaimForm = Static<typeof ClaimForm>

export const IdempotencyKey = Type.String({ minLength: 8, maxLength: 128, pattern: '^[\\x21-\\x7e]+$' })

export const ClaimAccepted = Type.Object({ claim_id: ClaimId })

/** `GET /api/claim/:id/status`. Never a password, a number or an address of the member. */
export const ClaimProgress = Type.Object({
  claim_id: ClaimId,
  status: ClaimStatus,
  step: Type.Optional(Step),
  /** The newest news in the caller's language. */
  message: Type.String(),
  failure_code: Type.Optional(FailureCode),
  template: Type.Optional(TemplateName),
  deletion_scheduled_at: Type.Optional(Timestamp),
  created_at: Timestamp,
  updated_at: Timestamp,
})
export type ClaimProgress = Static<typeof ClaimProgress>

export const TemplateOffers = Type.Object({
  templates: Type.Array(Type.Object({ name: TemplateName, version: TemplateVersion, title: Type.String(), description: Type.String() })),
  /** Where a member goes on: into the group, to the bot's chat, to the panel. Each only where the gateway was told. */
  links: Type.Optional(Type.Object({ group: Type.Optional(Type.String()), bot: Type.Optional(Type.String()), panel: Type.Optional(Type.String()) })),
})
export type TemplateOffers = Static<typeof TemplateOffers>

/** How far the timestamp of a webhook may be from our clock, to either side. */
export const WEBHOOK_WINDOW_S = 60

/** `POST /api/whatsapp-webhook`: somebody came or went, as an outside bot saw it. Signed by its headers `X-Timestamp` and `X-Signature`. */
export const WebhookNotice = Type.Object({
  event: Type.Union([Type.Literal('join'), Type.Literal('leave')]),
  wa_jid: WaJid,
  group_id: GroupId,
  occurred_at: Timestamp,
  /** New for every notice; the same when the same notice is sent again because no answer came. */
  nonce: Type.String({ pattern: '^[A-Za-z0-9_-]{16,64}$' }),
}, { additionalProperties: false })
export type WebhookNotice = Static<typeof WebhookNotice>

export const WebhookAccepted = Type.Object({ accepted: Type.Literal(true) })

/** The bot's internal port: `POST /internal/check-member`, header `X-Internal-Secret`. */
export const CheckMemberQuestion = Type.Object({
  wa_jid: WaJid,
  /** True before a deletion: the roster is read from WhatsApp again rather than taken from memory. */
  live: Type.Optional(Type.Boolean()),
}, { additionalProperties: false })
export const CheckMemberAnswer = Type.Object({
  membership: Type.Union([Type.Literal('present'), Type.Literal('absent'), Type.Literal('unknown')]),
  member_id: MemberId,
  /** The number's canonical JID where WhatsApp writes it differently from what was dialled (Brazil, Mexico, Argentina). */
  wa_jid: WaJid,
  /** When the roster behind this answer was read; null where there is none. */
  seen_at: Type.Union([Timestamp, Type.Null()]),
})
export type CheckMemberAnswer = Static<typeof CheckMemberAnswer>
export const INTERNAL_SECRET_HEADER = 'x-internal-secret'
export const CHECK_MEMBER_PATH = '/internal/check-member'
