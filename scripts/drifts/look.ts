// Asks ledger, panel and group what each of them holds. Reads, and nothing else.
import pLimit from 'p-limit'
import { Registry } from 'prom-client'
import { Type, type Static } from 'typebox'
import { pendingSubject } from '../../contracts/events/deletions.ts'
import type { ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { NatsConfig } from '../../services/common/connect.ts'
import { createMembership, type Membership } from '../../services/common/membership.ts'
import { firstOf } from '../../services/common/secret-pair.ts'
import { Config as ProvisionerConfig } from '../../services/provisioner/config.ts'
import { groupDrift, type Finding, type Presence } from '../../services/provisioner/drift.ts'
import { lookForDrift } from '../../services/provisioner/drift-watch.ts'
import { createPanelBudget } from '../../services/provisioner/panel-budget.ts'
import { createPanelClient } from '../../services/provisioner/panel-client.ts'
import { createPterodactyl } from '../../services/provisioner/pterodactyl.ts'
import { Config as ReaperConfig } from '../../services/reaper/config.ts'

const { PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN } = ProvisionerConfig.properties
const { BOT_URL, INTERNAL_SECRET } = ReaperConfig.properties
export const Settings = Type.Object({ ...NatsConfig, PANEL_URL, PANEL_KEY, CLAIM_EMAIL_DOMAIN, BOT_URL, INTERNAL_SECRET })

const PANEL_PATIENCE_MS = 10_000
const AT_ONCE = 4
const LIVING: ReadonlySet<string> = new Set(['creating', 'active', 'deleting'])

/** Faults of whoever did not answer: then nothing is known. */
export async function lookEverywhere (bus: Bus, settings: Static<typeof Settings>): Promise<Finding[]> {
  const never = new AbortController().signal
  const budget = createPanelBudget({ concurrency: { server: 1, other: 1 }, windowMs: 60_000, patienceMs: PANEL_PATIENCE_MS, now: Date.now })
  const panel = createPterodactyl(createPanelClient({ url: settings.PANEL_URL, key: settings.PANEL_KEY, budget, readTimeoutMs: 10_000, writeTimeoutMs: 10_000, registry: new Registry(), stopCalls: never }))
  const membership = createMembership(settings.BOT_URL, firstOf(settings.INTERNAL_SECRET))
  try {
    const { findings, settled } = await lookForDrift({ bus, panel, emailDomain: settings.CLAIM_EMAIL_DOMAIN, signal: never })
    return [...findings, ...groupDrift(settled, await presenceOf(membership, settled), await pendingOf(bus, settled), bus.clock.now().getTime())]
  } finally {
    await Promise.all([panel.close(), membership.close()])
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
