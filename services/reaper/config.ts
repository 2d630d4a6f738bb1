import { Type, type Static } from 'typebox'
import { BotUrls } from '../common/membership.ts'
import { CommonConfig } from '../common/run.ts'
import { secretPair } from '../common/secret-pair.ts'

export const Config = Type.Object({
  ...CommonConfig,
  /** As the gateway has it. */
  BOT_URL: BotUrls,
  /** One, or two by comma while it is changed: the first is sent. */
  INTERNAL_SECRET: secretPair(32),
  /** The same as claim-store's. */
  GRACE_MS: Type.Integer({ minimum: 1_000, maximum: 30 * 24 * 3_600_000 }),
  /** Overdue for longer than this without having been put off means that we were away. Default: the grace, but at least 15 minutes. */
  OUTAGE_MS: Type.Optional(Type.Integer({ minimum: 1_000 })),
  DELETIONS_PER_MINUTE: Type.Integer({ minimum: 1, maximum: 1_000, default: 20 }),
  SWEEP_EVERY_MS: Type.Integer({ minimum: 100, maximum: 3_600_000, default: 60_000 }),
  /** How long a deletion waits that cannot be decided. */
  POSTPONE_MS: Type.Integer({ minimum: 100, maximum: 3_600_000, default: 300_000 }),
  /** So many departures within ten minutes never trip the brake. */
  BRAKE_DEPARTURES_MIN: Type.Integer({ minimum: 1, maximum: 10_000, default: 5 }),
})
export type Config = Readonly<Static<typeof Config>>
