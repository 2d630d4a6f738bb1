// Why a caller does not get what they asked for, as a value with a stable code; routes throw it, errors.ts tells it.
import { HTTP_CODES, WEBHOOK_CODES, type HttpCode, type WebhookCode } from '../../contracts/codes.ts'
import type { ErrorBody } from '../../contracts/http.ts'
import type { Language } from '../../contracts/ids.ts'
import { Fault } from '../common/fault.ts'
import { wib, type Messages } from '../common/phrases.ts'

export interface RefusalDetails {
  readonly field?: string | undefined
  readonly claimId?: string | undefined
  /** For the log alone. */
  readonly memberId?: string | undefined
  readonly deletionScheduledAt?: string | undefined
  readonly retryAfterS?: number | undefined
  /** Methods that the address does take. */
  readonly allow?: string | undefined
}

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: HttpCode | WebhookCode
  readonly details: RefusalDetails

  constructor (code: HttpCode | WebhookCode, details: RefusalDetails = {}, cause?: unknown) {
    super(code, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }

  get status (): number { return { ...HTTP_CODES, ...WEBHOOK_CODES }[this.code] }
}

/** How long a caller should wait where the world is away, in seconds. */
const UNAVAILABLE_RETRY_S = 10

const FIELD_CODES: Readonly<Record<string, HttpCode>> = {
  wa_number_e164: 'INVALID_PHONE', username: 'INVALID_USERNAME', password: 'INVALID_PASSWORD', template: 'INVALID_TEMPLATE',
}

/** What Fastify throws before a route sees a request. */
const FRAMEWORK_CODES: Readonly<Record<string, HttpCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_MAX_PARAM_LENGTH: 'NOT_FOUND',
  FST_ERR_BAD_URL: 'INVALID_REQUEST',
}

interface FrameworkError { code?: string, statusCode?: number, validation?: readonly ValidationProblem[], validationContext?: string }
interface ValidationProblem { instancePath: string, params?: Record<string, unknown> }

/** Every error as a refusal. What nobody foresaw is INTERNAL, with the error as its cause. */
export function refusalOf (error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof Fault) return error.kind === 'transient' ? new Refusal('UNAVAILABLE', { retryAfterS: UNAVAILABLE_RETRY_S }, error) : new Refusal('INTERNAL', {}, error)
  const { code = '', statusCode = 500, validation, validationContext } = error as FrameworkError
  if (validation) return invalid(validation, validationContext)
  const known = FRAMEWORK_CODES[code]
  if (known) return new Refusal(known, {}, error)
  return new Refusal(statusCode >= 400 && statusCode < 500 ? 'INVALID_REQUEST' : 'INTERNAL', {}, error)
}

function invalid (problems: readonly ValidationProblem[], context = 'body'): Refusal {
  const [problem] = problems
  const { missingProperty, additionalProperty } = problem?.params ?? {}
  const field = [...(problem?.instancePath ?? '').split('/').filter(Boolean), missingProperty, additionalProperty].find((name) => typeof name === 'string')
  if (context === 'params') return new Refusal('NOT_FOUND')
  return new Refusal(context === 'body' && field !== undefined && Object.hasOwn(FIELD_CODES, field) ? FIELD_CODES[field] as HttpCode : 'INVALID_REQUEST', { field })
}

/** What happened, why, and what to do now. */
export function wordsOf (refusal: Refusal, messages: Messages, language: Language, inviteUrl: string | undefined): string {
  const { code, details: { deletionScheduledAt, retryAfterS } } = refusal
  if (code === 'NOT_MEMBER' && inviteUrl === undefined) return messages.say(language, 'errors.NOT_MEMBER_NO_LINK')
  if (code === 'LEAVING' && deletionScheduledAt === undefined) return messages.say(language, 'errors.LEAVING_NOW')
  return messages.say(language, `errors.${code}`, {
    seconds: retryAfterS ?? UNAVAILABLE_RETRY_S,
    ...(inviteUrl === undefined ? {} : { link: inviteUrl }),
    ...(deletionScheduledAt === undefined ? {} : { time: wib(new Date(deletionScheduledAt), language) }),
  })
}

export function bodyOf (refusal: Refusal, message: string): ErrorBody {
  const { code, details: { field, claimId, deletionScheduledAt, retryAfterS } } = refusal
  return {
    error: {
      code, message,
      ...(field === undefined ? {} : { field }),
      ...(claimId === undefined ? {} : { claim_id: claimId }),
      ...(deletionScheduledAt === undefined ? {} : { deletion_scheduled_at: deletionScheduledAt }),
      ...(retryAfterS === undefined ? {} : { retry_after: retryAfterS }),
    },
  }
}
