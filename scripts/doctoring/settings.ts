// Where everything is, as the services and scripts have it. Only NATS must be given: what else is missing cannot be looked at, and that is said.
import { Type, type Static } from 'typebox'
import { Config as ClaimStoreConfig } from '../../services/claim-store/config.ts'
import { NatsConfig } from '../../services/common/connect.ts'
import { Config as ProvisionerConfig } from '../../services/provisioner/config.ts'
import { Config as ReaperConfig } from '../../services/reaper/config.ts'

const Path = Type.Optional(Type.String({ minLength: 1 }))
const Address = Type.Optional(Type.String({ pattern: '^https?://[^\\s?#@,]+$', maxLength: 500 }))

const { PANEL_URL, TEMPLATES_FILE } = ProvisionerConfig.properties

export const Settings = Type.Object({
  ...NatsConfig,
  /** The directory of secrets, of which everything secret is read: `scripts/secrets`. */
  SECRETS_DIRECTORY: Path,
  PANEL_URL: Type.Optional(PANEL_URL),
  TEMPLATES_FILE,
  BOT_URL: Type.Optional(ReaperConfig.properties.BOT_URL),
  /** The gateway's public port, or its address behind a proxy. */
  GATEWAY_URL: Address,
  /** By comma: the internal address of each service, with its HEALTH_PORT. */
  HEALTH_URLS: Type.Optional(Type.String({ pattern: '^https?://[^\\s?#@,]+(,https?://[^\\s?#@,]+){0,31}$' })),
  PROMETHEUS_URL: Address,
  ALERTMANAGER_URL: Address,
  GRAFANA_URL: Address,
  /** Of a service account that may view, where Grafana shows nothing to strangers. */
  GRAFANA_TOKEN: Type.Optional(Type.String({ pattern: '^[\\w.-]{8,500}$' })),
  BOOK_FILE: Type.Optional(ClaimStoreConfig.properties.BOOK_FILE),
  BACKUP_DIRECTORY: Path,
  BACKUP_METRICS_FILE: Path,
  /** JetStream's store_dir, where NATS runs on this machine. */
  NATS_STORE_DIRECTORY: Path,
})
export type Settings = Readonly<Static<typeof Settings>>
export type SettingName = keyof Settings

export type Given<Needs extends readonly SettingName[]> = Settings & { readonly [Name in Needs[number]]-?: NonNullable<Settings[Name]> }
