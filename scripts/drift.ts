// scripts/drift plan: where ledger, panel and group disagree. Only looks.
import pLimit from 'p-limit'
import { Registry } from 'prom-client'
import { Type, type Static } from 'typebox'
import { setTimeout as delay } from 'node:timers/promises'
import { pendingSubject } from '../contracts/events/deletions.ts'
import type { ClaimView } from '../contracts/requests.ts'
import { createBus, type Bus } from '../services/common/bus.ts'
import { loadConfig } from '../services/common/config.ts'
import { NatsConfig, natsOf } from '../services/common/connect.ts'
import { Fault } from '../services/common/fault.ts'
import { createLog } from '../services/common/log.ts'
import { createMembership, type Membership } from '../services/common/membership.ts'
import { createMetrics } from '../services/common/metrics.ts'
import { firstOf } from '../services/common/secret-pair.ts'
import { Config as ProvisionerConfig } from '../services/provisioner/config.ts'
import { groupDrift, type Finding, type Presence } from '../services/provisioner/drift.ts'
import { lookForDrift } from '../services/provisioner/drift-watch.ts'
import { createPanelBudget } from '../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../services/provisioner/pterodactyl.ts'
import { Config as ReaperConfig } from '../services/reaper/config.ts'

const { PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN } = ProvisionerConfig.properties
const { BOT_URL, INTERNAL_SECRET } = ReaperConfig.properties
const Settings = Type.Object({ ...NatsConfig, PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN, BOT_URL, INTERNAL_SECRET })
const EXIT = { agreed: 0, found: 1, usage: 64, unavailable: 69 } as const
const REACH_MS_MAX = 10_000
const PANEL_PATIENCE_MS = 10_000
const AT_ONCE = 4
const LIVING: ReadonlySet<string> = new Set(['creating', 'active', 'deleting'])

type Print = (line: string) => void

async function main (args: readonly string[], env: Readonly<Record<string, string | undefined>>, print: Print): Promise<number> {
  if (args.length !== 1 || args[0] !== 'plan') {
    print('Usage: scripts/drift plan')
    return EXIT.usage
  }
  let settings: Static<typeof Settings>
  try {
    settings = loadConfig(Settings, env)
  } catch (error) {
    print((error as Error).message)
    return EXIT.usage
  }
  try {
    const findings = await plan(settings)
    for (const { kind, memberId, claimId, serverId, userId } of findings) print(`${kind}  member ${memberId}  claim ${claimId ?? '-'}  server ${serverId ?? '-'}  account ${userId ?? '-'}`)
    if (findings.length === 0) print('Ledger, panel and group agree.')
    return findings.length === 0 ? EXIT.agreed : EXIT.found
  } catch (error) {
    print(error instanceof Fault ? `${error.code}: they could not be compared.` : 'NATS cannot be reached.')
    return EXIT.unavailable
  }
}

async function plan (settings: Static<typeof Settings>): Promise<Finding[]> {
  const never = new AbortController().signal
  const connecting = createBus({ ...natsOf(settings), service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() })
  const late = delay(REACH_MS_MAX, undefined, { ref: false }).then(() => { throw new Error('not reachable') })
  const bus = await Promise.race([connecting, late])
  const budget = createPanelBudget({ concurrency: { server: 1, other: 1 }, windowMs: 60_000, patienceMs: PANEL_PATIENCE_MS, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url: settings.PANEL_URL, key: settings.PANEL_KEY, budget, readTimeoutMs: 10_000, writeTimeoutMs: 10_000, registry: new Registry(), stopCalls: never }))
  const membership = createMembership(settings.BOT_URL, firstOf(settings.INTERNAL_SECRET))
  try {
    const { findings, settled } = await lookForDrift({ bus, panel, emailDomain: settings.CLAIM_EMAIL_DOMAIN, signal: never })
    return [...findings, ...groupDrift(settled, await presenceOf(membership, settled), await pendingOf(bus, settled), Date.now())]
  } finally {
    await Promise.all([bus.close(), panel.close(), membership.close()])
  }
}

/** What the bot believes of every member with a living claim, without asking WhatsApp. */
async function presenceOf (membership: Membership, claims: readonly ClaimView[]): Promise<Map<string, Presence>> {
  const limit = pLimit(AT_ONCE)
  const living = claims.filter(({ status }) => LIVING.has(status))
  return new Map(await limit.map(living, async ({ member_id: memberId, wa_jid: waJid }) => [memberId, (await membership.check(waJid)).membership] as const))
}

async function pendingOf (bus: Bus, claims: readonly ClaimView[]): Promise<Set<string>> {
  const limit = pLimit(AT_ONCE)
  const jobs = claims.flatMap(({ delete_job_id: job, deletion_started: isGoing, status }) => job !== null && isGoing !== true && LIVING.has(status) ? [job] : [])
  const found = await limit.map(jobs, async (job) => await bus.lastSequence('DELETIONS', pendingSubject(job)) === 0 ? [] : [job])
  return new Set(found.flat())
}

// A connection that is still being tried for keeps the process alive.
process.exit(await main(process.argv.slice(2), process.env, (line) => { process.stdout.write(`${line}\n`) }))
