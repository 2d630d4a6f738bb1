import { Type, type Static } from 'typebox'
import { CommonConfig } from '../common/run.ts'

export const Config = Type.Object({
  ...CommonConfig,
  /** Secret behind every member's pseudonym. It is the one secret that stays: another key makes every member a stranger (scripts/rekey-members). */
  MEMBER_ID_KEY: Type.String({ minLength: 32 }),
  /** Signs every decision of the ledger, so that nothing else on its stream is taken for one. Several by comma: the first signs, and none that signed once is left out. */
  LEDGER_KEYS: Type.String({ pattern: '^[^\\s,]{32,256}( *, *[^\\s,]{32,256}){0,9}$' }),
  BOOK_FILE: Type.String({ minLength: 1 }),
  /** How often what changed is written to the book. */
  BOOK_EVERY_MS: Type.Integer({ minimum: 10, maximum: 60_000, default: 250 }),
  /** Former members are erased so long after the end of their last claim. */
  RETENTION_DAYS: Type.Integer({ minimum: 1, maximum: 3_650, default: 90 }),
  /** Between a leave and the deletion. No default: it decides when somebody's server is deleted. */
  GRACE_MS: Type.Integer({ minimum: 1_000, maximum: 30 * 24 * 3_600_000 }),
})
export type Config = Readonly<Static<typeof Config>>
