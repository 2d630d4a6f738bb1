// Every stable code that leaves a service: programs branch on the code, people read the words in config/messages, operators the RUNBOOK.
import { Type, type Static } from 'typebox'

/** Why a claim could not be made or kept: `claims.*.failed` carries one, and so does the status of a failed claim. */
export const FAILURE_CODES = [
  'NO_FREE_PORT', 'NODE_DOWN', 'EGG_INVALID', 'TEMPLATE_UNKNOWN', 'INSTALL_FAILED', 'INSTALL_TIMEOUT', 'HEALTHCHECK_TIMEOUT',
  'PANEL_DOWN', 'PANEL_KEY_REFUSED', 'PANEL_RATE_LIMITED', 'PANEL_REFUSED', 'IDENTITY_CONFLICT', 'SERVER_VANISHED', 'INTERNAL',
] as const
export const FailureCode = Type.Enum(FAILURE_CODES)
export type FailureCode = Static<typeof FailureCode>

/** What the HTTP edge answers, beside the codes of a failed claim. */
export const HTTP_CODES = {
  INVALID_PHONE: 400,
  INVALID_USERNAME: 400,
  INVALID_PASSWORD: 400,
  INVALID_TEMPLATE: 400,
  INVALID_REQUEST: 400,
  NOT_MEMBER: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  ALREADY_CLAIMED: 409,
  LEAVING: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  BOT_OFFLINE: 503,
  CLAIMS_CLOSED: 503,
  UNAVAILABLE: 503,
} as const
export type HttpCode = keyof typeof HTTP_CODES

/** What the webhook answers besides: to a program, so no page has to show it. */
export const WEBHOOK_CODES = {
  WRONG_GROUP: 400,
  INVALID_SIGNATURE: 401,
  STALE_TIMESTAMP: 401,
  NONCE_USED: 401,
} as const
export type WebhookCode = keyof typeof WEBHOOK_CODES

/** Why a message did not arrive. */
export const UNDELIVERABLE_CODES = ['WHATSAPP_REACHOUT_LOCKED', 'WHATSAPP_RESTRICTED', 'WHATSAPP_NOT_REGISTERED', 'WHATSAPP_REFUSED', 'SEAL_UNREADABLE', 'MESSAGE_EXPIRED', 'LOGIN_REPLACED'] as const
export const UndeliverableCode = Type.Enum(UNDELIVERABLE_CODES)
export type UndeliverableCode = Static<typeof UndeliverableCode>

/** The steps of a claim, in order, as `servers.*.progressed` names them. */
export const STEPS = ['queued', 'account', 'port', 'create', 'install', 'probe'] as const
export const Step = Type.Enum(STEPS)
export type Step = Static<typeof Step>

/** A claim's status as HTTP and the book show it. */
export const CLAIM_STATUSES = ['creating', 'active', 'failed', 'deleting', 'deleted'] as const
export const ClaimStatus = Type.Enum(CLAIM_STATUSES)
export type ClaimStatus = Static<typeof ClaimStatus>

/** Nothing is left of it: no server, and nothing to come. The member may claim again. */
export const isOver = (status: ClaimStatus): status is 'failed' | 'deleted' => status === 'failed' || status === 'deleted'

export const POSTPONE_REASONS = ['roster_unknown', 'brake', 'pace', 'outage', 'creating', 'claim_store_away'] as const
export const PostponeReason = Type.Enum(POSTPONE_REASONS)
export type PostponeReason = Static<typeof PostponeReason>
export const CancelReason = Type.Enum(['returned', 'present', 'operator'])
export type CancelReason = Static<typeof CancelReason>

/** Why claim-store does not carry out what an operator asks about a claim. */
export const OPERATOR_REFUSALS = [
  'NOT_FOUND', 'NOT_CURRENT', 'NOT_FAILED', 'REQUEST_LOST', 'NOT_MEMBER', 'MEMBER_PRESENT', 'MEMBERSHIP_UNKNOWN', 'NO_SERVER', 'NOT_SCHEDULED', 'DELETION_STARTED', 'NOT_HELD', 'NOT_LATER', 'TOO_FAR',
] as const
export const OperatorRefusal = Type.Enum(OPERATOR_REFUSALS)
export type OperatorRefusal = Static<typeof OperatorRefusal>

/** Why a step that mends drift was not taken; what else is answered are the codes of faults. */
export const REPAIR_REFUSALS = ['BRAKE_ON', 'CLOCK_SKEWED', 'CLAIM_NOT_OVER', 'SERVER_OTHER', 'OWNER_OTHER', 'ACCOUNT_IN_USE', 'NOT_SCHEDULED', 'MEMBERSHIP_UNKNOWN', 'MEMBERSHIP_OTHER'] as const
export const RepairRefusal = Type.Enum(REPAIR_REFUSALS)
export type RepairRefusal = Static<typeof RepairRefusal>
/** … and why scripts/drift did not ask for it. */
export const APPLY_CODES = ['PLAN_CHANGED', 'FOR_A_PERSON', 'STEPS_TOO_MANY'] as const
export type ApplyCode = typeof APPLY_CODES[number]

/** Why a run of the canary (`scripts/klaim canary`) did not come through; what else is said are the codes of faults. */
export const CANARY_CODES = [
  'CANARY_GATEWAY_AWAY', 'CANARY_REFUSED', 'CANARY_CLAIM_FAILED', 'CANARY_NOT_ACTIVE', 'CANARY_LOGIN_MISSING', 'CANARY_LOGIN_UNDELIVERABLE', 'CANARY_NOT_DELETED', 'CANARY_LEFTOVER', 'CANARY_NUMBER_TAKEN',
] as const
export type CanaryCode = typeof CANARY_CODES[number]
