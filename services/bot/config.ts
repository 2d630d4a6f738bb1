import { Type, type Static } from 'typebox'
import { GroupId, NUMBERS_PATTERN } from '../../contracts/ids.ts'
import { CommonConfig } from '../common/run.ts'
import { secretPair } from '../common/secret-pair.ts'
import { WHATSAPP_ADDRESS } from './address.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const duration = (initial: number, minimum: number, maximum: number) => Type.Integer({ default: initial, minimum, maximum })

export const BotConfig = Type.Object({
  ...CommonConfig,
  /** The watched group, `<digits>@g.us`. */
  GROUP_ID: GroupId,
  INTERNAL_HOST: Type.String({ default: '127.0.0.1' }),
  INTERNAL_PORT: Type.Integer({ default: 8085, minimum: 0, maximum: 65_535 }),
  /** One, or two by comma while it is changed: either is accepted. */
  INTERNAL_SECRET: secretPair(16),
  /** With which Alertmanager may tell of alerts: one, or two by comma while it is changed. Absent: it may not. */
  ALERTS_SECRET: Type.Optional(secretPair(32)),
  /** Digits with country code, by comma: who is told of alerts. Absent: nobody. */
  ALERT_NUMBERS: Type.Optional(Type.String({ pattern: NUMBERS_PATTERN })),
  /** To each of them. */
  ALERT_MESSAGES_PER_HOUR: Type.Integer({ default: 12, minimum: 1, maximum: 60 }),
  MEMBER_ID_KEY: Type.String({ minLength: 16 }),
  /** JWK set as JSON; any of its keys opens a sealed password. */
  LOGIN_PRIVATE_KEYS: Type.String({ minLength: 2 }),
  /** At least 32 characters; several separated by commas, the first of which seals. */
  SESSION_KEY: Type.String({ minLength: 32 }),
  MESSAGES_DIR: Type.String({ default: 'config/messages' }),
  /** Shown with a new login, where set. */
  PANEL_PUBLIC_URL: Type.Optional(Type.String({ pattern: '^https?://' })),
  WHATSAPP_URL: Type.String({ default: WHATSAPP_ADDRESS, pattern: '^wss?://' }),
  /** WhatsApp Web version, `2,3000,1043857760`; without it the library's own. */
  WHATSAPP_VERSION: Type.Optional(Type.String({ pattern: '^\\d{1,4},\\d{1,6},\\d{1,12}$' })),
  /** Digits of the bot's number: it is then linked by an eight-character code instead of a QR code. */
  PAIRING_NUMBER: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{6,14}$' })),
  /** Without a renewal for this long another bot takes the session over. Less than the 30 s that its bucket keeps entries, and long enough to outlast the choice of a leader in NATS. */
  LEASE_MS: duration(20 * SECOND, 300, 25 * SECOND),
  ROSTER_EVERY_MS: duration(2 * MINUTE, 100, 60 * MINUTE),
  /** How long signs of change are collected before the group is read. */
  ROSTER_DEBOUNCE_MS: duration(SECOND, 0, MINUTE),
  ROSTER_GAP_MS: duration(2 * SECOND, 0, MINUTE),
  /** An older roster says nothing about anybody. */
  ROSTER_MAX_AGE_MS: duration(10 * MINUTE, SECOND, 24 * 60 * MINUTE),
  /** A suddenly shrunken roster is believed after it was read so often … */
  ROSTER_CONFIRM_READS: Type.Integer({ default: 4, minimum: 2, maximum: 100 }),
  /** … over so long. */
  ROSTER_CONFIRM_MS: duration(10 * MINUTE, 0, 24 * 60 * MINUTE),
  /** After so many unanswered readings in a row the connection is made anew. */
  DEAF_AFTER_MISSES: Type.Integer({ default: 3, minimum: 1, maximum: 20 }),
  /** From connecting to being let in, but for the time in which a person scans a code. */
  OPEN_TIMEOUT_MS: duration(45 * SECOND, 200, 5 * MINUTE),
  ANSWER_TIMEOUT_MS: duration(15 * SECOND, 200, MINUTE),
  RECONNECT_MIN_MS: duration(SECOND, 10, MINUTE),
  RECONNECT_MAX_MS: duration(5 * MINUTE, 10, 60 * MINUTE),
  /** How often numbers of people who left without a claim are forgotten. */
  STRANGERS_EVERY_MS: duration(60 * MINUTE, 100, 24 * 60 * MINUTE),
  SEND_GAP_MS: duration(1_500, 0, MINUTE),
  /** How long what was sent stays in memory for a recipient who could not read it. */
  RESEND_MEMORY_MS: duration(15 * MINUTE, SECOND, 60 * MINUTE),
  LOOKUPS_PER_MINUTE: Type.Integer({ default: 30, minimum: 1, maximum: 1_000 }),
})
export type BotConfig = Readonly<Static<typeof BotConfig>>
