// Where the canary claims, and as whom.
import { Type, type Static } from 'typebox'
import { NUMBER_PATTERN, TemplateName } from '../../contracts/ids.ts'
import { NatsConfig } from '../../services/common/connect.ts'
import { CommonConfig } from '../../services/common/run.ts'

const { HEALTH_HOST, HEALTH_PORT } = CommonConfig
const Address = Type.String({ pattern: '^https?://[^\\s?#@,]+$', maxLength: 500 })

export const Settings = Type.Object({
  ...NatsConfig, HEALTH_HOST, HEALTH_PORT,
  /** The gateway, as visitors reach it. */
  GATEWAY_URL: Address,
  /** Digits with country code as WhatsApp has them, of an account that is in the group and belongs to nobody who wants a server. A secret, as every number is. */
  CANARY_NUMBER: Type.String({ pattern: NUMBER_PATTERN }),
  /** What it asks for; without it the first offer. */
  CANARY_TEMPLATE: Type.Optional(TemplateName),
  /** How long each step may take, in milliseconds: until the server answers, until the login is there, until the server is gone. */
  CANARY_PATIENCE_MS: Type.Integer({ minimum: 1_000, maximum: 3_600_000, default: 600_000 }),
  /** In staging: the control address of the double of WhatsApp, where the canary's chat can be read. Without it the bot's own word is taken that WhatsApp took the login. */
  CANARY_WHATSAPP_URL: Type.Optional(Address),
})
export type Settings = Readonly<Static<typeof Settings>>
