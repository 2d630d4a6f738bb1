import { Type, type Static } from 'typebox'
import { GroupId } from '../../contracts/ids.ts'
import { BotUrls } from '../common/membership.ts'
import { CommonConfig } from '../common/run.ts'
import { secretPair } from '../common/secret-pair.ts'

const PerMinute = (fallback: number) => Type.Integer({ minimum: 1, maximum: 1_000_000, default: fallback })

export const Config = Type.Object({
  ...CommonConfig,
  HTTP_HOST: Type.String({ default: '127.0.0.1' }),
  /** The public port; 0 takes any free one. */
  HTTP_PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 8080 }),
  /** Connections at once; beyond, new ones are closed. Fewer than the process may have files open (`ulimit -n`), or the gateway loses NATS and the bot too. */
  HTTP_SOCKETS_MAX: Type.Integer({ minimum: 10, maximum: 1_000_000, default: 5_000 }),
  /** Addresses and CIDR ranges of the reverse proxies, by comma. Only they may say for whom they speak (X-Forwarded-For). */
  TRUST_PROXY: Type.Optional(Type.String({ pattern: '^[0-9A-Fa-f.:/, ]+$', maxLength: 2_000 })),
  /** The bot's internal port; of two bots both, by comma. */
  BOT_URL: BotUrls,
  /** One, or two by comma while it is changed: the first is sent. */
  INTERNAL_SECRET: secretPair(16),
  TEMPLATES_FILE: Type.String({ default: 'config/templates.json' }),
  MESSAGES_DIR: Type.String({ default: 'config/messages' }),
  /** Told to visitors who are not in the group yet. */
  GROUP_INVITE_URL: Type.Optional(Type.String({ pattern: '^https://[^\\s]+$', maxLength: 200 })),
  /** The bot's own number, digits with country code, for a link that opens the chat with it. */
  BOT_NUMBER: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{5,16}$' })),
  /** Where members log in, for the page that says that a server is ready. */
  PANEL_PUBLIC_URL: Type.Optional(Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 200 })),
  /** The exported claim page (`npm run build:web`). Where it is absent, the form is served without it. */
  WEB_DIR: Type.String({ default: 'services/web/out' }),
  /** Other origins that serve the claim page and may use the API from there, by comma: `https://klaim.example`. */
  CORS_ORIGIN: Type.Optional(Type.String({ pattern: '^https?://[^\\s,/*]+( *, *https?://[^\\s,/*]+)*$', maxLength: 2_000 })),
  /** The webhook for outside bots: one secret, or two by comma while it is changed. Absent: there is no webhook. */
  WEBHOOK_SECRETS: Type.Optional(secretPair(32)),
  /** The watched group and the key of the pseudonyms, as the bot and claim-store have them; needed by the webhook only. */
  GROUP_ID: Type.Optional(GroupId),
  MEMBER_ID_KEY: Type.Optional(Type.String({ minLength: 32 })),
  /** Attempts to claim, per client address. */
  RATE_LIMIT_IP_PER_MINUTE: PerMinute(20),
  /** Attempts to claim, per number. */
  RATE_LIMIT_JID_PER_MINUTE: PerMinute(5),
  /** Looks at a status, per client address. Many members may share one: mobile networks put thousands behind an address. */
  RATE_LIMIT_STATUS_PER_MINUTE: PerMinute(600),
})
export type Config = Readonly<Static<typeof Config>>
