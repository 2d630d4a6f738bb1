// The names of things, as schemas. Every id is safe as a NATS subject token: no dot, no wildcard, no space.
import { Type, type Static } from 'typebox'

/** UUID v4, made by the gateway when it accepts the form. */
export const ClaimId = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' })

/** Pseudonym of a member: the first 20 characters of base32(HMAC-SHA256(MEMBER_ID_KEY, wa_jid)), lower case. */
export const MemberId = Type.String({ pattern: '^[a-z2-7]{20}$' })

/** Phone-number JID `<digits>@s.whatsapp.net`. A secret: it is somebody's phone number. */
export const WaJid = Type.String({ pattern: '^[1-9][0-9]{5,16}@s\\.whatsapp\\.net$' })

/** Digits with country code, one to five by comma. A secret, as every number is. */
export const NUMBERS_PATTERN = '^[1-9][0-9]{6,14}(,[1-9][0-9]{6,14}){0,4}$'
export const NUMBER_PATTERN = '^[1-9][0-9]{6,14}$'

export const GroupId = Type.String({ pattern: '^[0-9-]{5,40}@g\\.us$' })

/** `<claim_id>-d<n>`: the n-th departure of a claim. Derived, so the same departure has the same job whoever decides it. */
export const DeleteJobId = Type.String({ pattern: '^[0-9a-f-]{36}-d[1-9][0-9]{0,5}$' })

/** `<kind>-<claim_id>[-…]`, derived from the fact that the message tells. */
export const MessageId = Type.String({ pattern: '^[a-z0-9_-]{1,120}$' })

/** RFC 3339 in UTC, as `Date.prototype.toISOString` writes it. */
export const Timestamp = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?Z$' })

export const Language = Type.Union([Type.Literal('id'), Type.Literal('en')])
export type Language = Static<typeof Language>

/** Key of an offer in config/templates.json. */
export const TemplateName = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
export const TemplateVersion = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** An id that the panel gave: a positive integer (the panel casts anything else in a path, so nothing else is ever sent). */
export const PanelId = Type.Integer({ minimum: 1, maximum: 4_294_967_295 })

/**
 * The panel login name: the panel's own rule `^[a-z0-9]([\w.-]+)[a-z0-9]$` on the lower-cased value (App\Rules\Username),
 * at least 3 characters. We stop at 60 so that a suffix always fits.
 */
export const Username = Type.String({ minLength: 3, maxLength: 60, pattern: '^[a-zA-Z0-9][a-zA-Z0-9_.-]+[a-zA-Z0-9]$' })

/** JWE in compact form (ECDH-ES, A256GCM), sealed to the bot's public key. */
export const Sealed = Type.String({ pattern: '^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]*\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$', maxLength: 4096 })
