import t from 'tap'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { TObject } from 'typebox'
import { BotConfig } from '../bot/config.ts'
import { Config as ClaimStoreConfig } from '../claim-store/config.ts'
import { Settings as CanarySettings } from '../../scripts/canary/settings.ts'
import { Settings as DoctorSettings } from '../../scripts/doctoring/settings.ts'
import { CommonConfig } from '../common/run.ts'
import { Config as GatewayConfig } from '../gateway/config.ts'
import { Config as NotifierConfig } from '../notifier/config.ts'
import { Config as ProvisionerConfig } from '../provisioner/config.ts'
import { Config as ReaperConfig } from '../reaper/config.ts'

const example = readFileSync(join(resolve(import.meta.dirname, '../..'), 'config/.env.example'), 'utf8')
const SERVICES: Record<string, TObject> = { gateway: GatewayConfig, 'claim-store': ClaimStoreConfig, provisioner: ProvisionerConfig, reaper: ReaperConfig, notifier: NotifierConfig, bot: BotConfig }

/** Variables that are paths themselves, and not the place of a value. */
const PATHS = ['BOOK_FILE', 'TEMPLATES_FILE', 'NATS_CA_FILE', 'BACKUP_METRICS_FILE']

/** What a section of the example says: which names, which must be given, and which defaults. */
function section (title: string): Map<string, { required: boolean, value: string }> {
  const text = example.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? ''
  return new Map([...text.matchAll(/^(# )?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, comment, name = '', value = '']) => [name.replace(/_FILE$/, PATHS.includes(name) ? '_FILE' : ''), { required: comment === undefined, value }]))
}

t.test('the example names every variable of every service, and nothing else', async (t) => {
  const common = Object.keys(CommonConfig)
  t.same([...section('all services').keys()].toSorted(), common.toSorted(), 'all services')
  for (const [service, schema] of Object.entries(SERVICES)) {
    const said = section(service)
    const own = Object.keys(schema.properties).filter((name) => !common.includes(name))
    t.same([...said.keys()].toSorted(), own.toSorted(), service)
    for (const name of own) {
      const { default: fallback } = schema.properties[name] as { default?: string | number }
      const isRequired = fallback === undefined && (schema.required as string[] | undefined)?.includes(name) === true
      t.equal(said.get(name)?.required, isRequired, `${service}: ${name} ${isRequired ? 'must be given' : 'need not be given'}`)
      if (fallback !== undefined) t.equal(said.get(name)?.value, String(fallback), `${service}: the default of ${name}`)
    }
  }
})

t.test('the example names every variable of scripts/doctor', async (t) => {
  t.same(['NATS_URL', 'NATS_CA_FILE', ...section('scripts/doctor').keys()].toSorted(), Object.keys(DoctorSettings.properties).toSorted())
})

t.test('the example names every variable of the canary', async (t) => {
  const said = section('scripts/klaim canary')
  t.same(['NATS_URL', 'NATS_CA_FILE', 'HEALTH_HOST', 'HEALTH_PORT', ...said.keys()].toSorted(), Object.keys(CanarySettings.properties).toSorted())
  t.equal(said.get('CANARY_PATIENCE_MS')?.value, String((CanarySettings.properties.CANARY_PATIENCE_MS as { default?: number }).default), 'with its default')
})
