// scripts/rekey-members: a new MEMBER_ID_KEY for everybody. What it does is in scripts/rekey/.
import { Type, type Static } from 'typebox'
import { createBus } from '../services/common/bus.ts'
import { NatsConfig, natsOf } from '../services/common/connect.ts'
import { Fault } from '../services/common/fault.ts'
import { createLog } from '../services/common/log.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { Config as ClaimStoreConfig } from '../services/claim-store/config.ts'
import { createMac } from '../services/claim-store/mac.ts'
import { Config as ProvisionerConfig } from '../services/provisioner/config.ts'
import { createPanelBudget } from '../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../services/provisioner/pterodactyl.ts'
import { SETTINGS_WRONG, withSettings } from './operating/settings.ts'
import { BACKUP } from './rekey/ledger.ts'
import { confirm, rekey, survey } from './rekey/rekey.ts'
import { RekeyRefused } from './rekey/step.ts'

const { MEMBER_ID_KEY, LEDGER_KEYS } = ClaimStoreConfig.properties
const { PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN } = ProvisionerConfig.properties
const Settings = Type.Object({ ...NatsConfig, LEDGER_KEYS, MEMBER_ID_KEY, NEW_MEMBER_ID_KEY: Type.Optional(MEMBER_ID_KEY), PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN })
const PATIENCE_MS = 60_000
const SAID_EVERY = 500

type Print = (line: string) => void

async function main (mode: string | undefined, print: Print): Promise<number> {
  if (mode !== undefined && mode !== '--apply' && mode !== '--confirm') {
    print('Usage: scripts/rekey-members [--apply | --confirm]')
    return 64
  }
  return await withSettings(Settings, process.env, print, async (settings) => {
    if (mode === '--confirm' || settings.NEW_MEMBER_ID_KEY !== undefined) return await carryOut(mode, settings, print)
    print('invalid configuration\n  NEW_MEMBER_ID_KEY is missing')
    return SETTINGS_WRONG
  })
}

async function carryOut (mode: '--apply' | '--confirm' | undefined, settings: Readonly<Static<typeof Settings>>, print: Print): Promise<number> {
  const metrics = createMetrics('operator')
  const bus = await createBus({ ...natsOf(settings), service: 'operator', log: createLog('operator', 'fatal'), metrics, now: () => new Date() })
  const budget = createPanelBudget({ concurrency: { server: 1, other: 2 }, windowMs: 60_000, patienceMs: PATIENCE_MS, now: Date.now })
  const client = createPanelClient({ url: settings.PANEL_URL, key: settings.PANEL_KEY, budget, readTimeoutMs: 10_000, writeTimeoutMs: 30_000, registry: metrics.registry, stopCalls: new AbortController().signal })
  const panel = createPterodactyl(client)
  const mac = createMac(settings.LEDGER_KEYS)
  const keys = { old: settings.MEMBER_ID_KEY, next: settings.NEW_MEMBER_ID_KEY ?? '', mac }
  try {
    if (mode === '--confirm') {
      await confirm({ bus, keys: { ...keys, next: settings.MEMBER_ID_KEY } })
      print(`✓ ${BACKUP} is gone`)
      return 0
    }
    if (mode === undefined) {
      const { old, next, none, members } = await survey({ bus, keys })
      print(`CLAIMS: ${old} events of ${members.size} members to rewrite${next > 0 ? `, ${next} of them are` : ''}${none > 0 ? `; ${none} messages that are no decisions are left out` : ''}`)
      print('MEMBERS, SERVERS, DELETIONS, MESSAGES: to be emptied. Buckets provisioning and brake: to be rewritten. Accounts on the panel: each gets its new address.')
      print('Nothing was changed. scripts/rekey-members --apply does it.')
      return 0
    }
    let steps = 0
    const { members, changed, conflicts } = await rekey({ bus, panel, keys, emailDomain: settings.CLAIM_EMAIL_DOMAIN }, async (what) => {
      if (++steps % SAID_EVERY === 0) print(`… ${steps} steps, the last: ${what}`)
    })
    print(`✓ ${members} members are under the new key, ${changed} accounts have their new address`)
    if (conflicts > 0) print(`✗ ${conflicts} accounts on the panel hold a member's address or id and are not theirs; they stay as they are`)
    print(`Put the new key in its place before any service starts. ${BACKUP} holds the old ledger until scripts/rekey-members --confirm.`)
    return conflicts > 0 ? 1 : 0
  } catch (error) {
    if (!(error instanceof RekeyRefused) && !(error instanceof Fault)) throw error
    print(`✗ ${error instanceof Fault ? `${error.code}: ` : ''}${error.message}`)
    return 1
  } finally {
    await panel.close()
    await bus.close()
  }
}

process.exitCode = await main(process.argv[2], (line) => { process.stdout.write(`${line}\n`) })
