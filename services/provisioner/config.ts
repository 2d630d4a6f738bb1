import { Type, type Static } from 'typebox'
import { CommonConfig } from '../common/run.ts'

const ms = (fallback: number, minimum = 1) => Type.Integer({ minimum, maximum: 7 * 24 * 3_600_000, default: fallback })

export const Config = Type.Object({
  ...CommonConfig,
  PANEL_URL: Type.String({ pattern: '^https?://[^\\s?#]+$' }),
  /** An application key of an administrator of its own: the panel's rate limit counts all keys of one owner together. Rights: servers and users 3, nodes, allocations, nests and eggs 1. */
  PANEL_KEY: Type.String({ pattern: '^[A-Za-z0-9_]{20,128}$' }),
  /** Domain of the members' account addresses, `<member_id>@<domain>`. The panel may write there: a domain of ours, or one below `.invalid`. */
  CLAIM_EMAIL_DOMAIN: Type.String({ pattern: '^(?=.{1,150}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$' }),
  /** Public JWK of the bot, as JSON. */
  LOGIN_PUBLIC_KEY: Type.String({ minLength: 10 }),
  TEMPLATES_FILE: Type.String({ default: 'config/templates.json' }),
  /**
   * How many servers are created at once. The panel keeps a worker busy during a create, and Wings needs a second one to call it back: 30 at
   * once against 8 workers took 50 s and failed 27 times, 2 took 6 s and failed never (measured on panel 1.11.8).
   */
  CREATE_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 32, default: 2 }),
  /** All other calls at once. */
  PANEL_CONCURRENCY: Type.Integer({ minimum: 1, maximum: 64, default: 4 }),
  /** Answers to creates and deletes: the panel waits up to 15 s for Wings, twice. */
  PANEL_WRITE_TIMEOUT_MS: ms(45_000),
  PANEL_READ_TIMEOUT_MS: ms(10_000),
  /** A create whose answer was lost may go on this long; before that, neither the server nor its absence is believed. */
  LOST_CREATE_WAIT_MS: ms(36_000),
  /** The panel's limit counts in windows of this length. */
  RATE_WINDOW_MS: ms(60_000),
  /** How long a call queues for a panel that is away before its message is handed back. */
  PANEL_PATIENCE_MS: ms(60_000),
  /** How long claims wait for a panel that is away or refuses our key. Then they fail. */
  PANEL_DEADLINE_MS: ms(6 * 3_600_000),
  /** How long claims wait while no node of their template works. */
  NODE_DEADLINE_MS: ms(15 * 60_000),
  /** A node that failed is left alone this long, at first; twice as long each time, up to eight times. */
  NODE_BREAK_MS: ms(30_000),
  /** How long a claim waits for a template version that is not registered yet (the gateway was updated first). */
  TEMPLATE_DEADLINE_MS: ms(5 * 60_000),
  INVENTORY_FRESH_MS: ms(60_000),
  /** One call for all installs. Oftener where the panel's limit is above 240 a minute, down to every 250 ms. */
  INSTALL_POLL_EVERY_MS: ms(3_000, 10),
  PROBE_EVERY_MS: ms(1_000, 10),
  PROBE_TIMEOUT_MS: ms(3_000, 10),
  PASSWORD_RESET_EVERY_MS: ms(60_000),
  /** How often the panel is compared with the ledger: one call for 100 servers, one for 100 accounts. */
  DRIFT_EVERY_MS: ms(15 * 60_000, 100),
})
export type Config = Static<typeof Config>
