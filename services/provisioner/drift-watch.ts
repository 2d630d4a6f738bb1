// Looks now and then whether the panel holds what the ledger says, and only says so: whoever repairs asks scripts/drift and looks for themselves.
import { Gauge, type Registry } from 'prom-client'
import { listClaims, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { codeOf, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { PANEL_DRIFT_KINDS, panelDrift, settledOf, type Finding } from './drift.ts'
import type { Pterodactyl } from './pterodactyl.ts'

const PAGES_MAX = 1_000
const NAMED_MAX = 20

/** All claims of the ledger. Transient Fault CLAIM_STORE_AWAY. */
export async function allClaims (bus: Pick<Bus, 'request'>): Promise<ClaimView[]> {
  const all: ClaimView[] = []
  let after: string | undefined
  for (let page = 0; page < PAGES_MAX; page++) {
    const { claims, next } = await bus.request(listClaims, { limit: 200, ...(after === undefined ? {} : { after }) })
    all.push(...claims)
    if (next === undefined) return all
    after = next
  }
  throw transient('LIST_TOO_LONG', 'the ledger has more claims than are compared')
}

/** The ledger is read before and after the panel, so that what changes meanwhile is not taken for drift. */
export async function lookForDrift ({ bus, panel, emailDomain, signal }: { bus: Pick<Bus, 'request'>, panel: Pick<Pterodactyl, 'servers' | 'users'>, emailDomain: string, signal: AbortSignal }): Promise<{ findings: Finding[], settled: ClaimView[] }> {
  const before = await allClaims(bus)
  const contents = { servers: await panel.servers(signal), users: await panel.users(signal) }
  const after = await allClaims(bus)
  const settled = settledOf(before, after)
  return { findings: panelDrift(after, new Set(settled.map(({ claim_id: id }) => id)), contents, emailDomain), settled }
}

export function watchDrift ({ everyMs, registry, log, ...where }: Parameters<typeof lookForDrift>[0] & { everyMs: number, registry: Registry, log: Log }): { stop: () => Promise<void> } {
  const registers = [registry]
  const found = new Gauge({ name: 'klaim_drift_findings', help: 'Disagreements of ledger and panel at the last look, by kind', labelNames: ['kind'] as const, registers })
  const lookedAt = new Gauge({ name: 'klaim_drift_looked_at_seconds', help: 'When ledger and panel were last compared, as Unix time', registers })

  async function look (): Promise<void> {
    try {
      const { findings } = await lookForDrift(where)
      for (const kind of PANEL_DRIFT_KINDS) found.set({ kind }, findings.filter((finding) => finding.kind === kind).length)
      lookedAt.setToCurrentTime()
      for (const finding of findings.slice(0, NAMED_MAX)) log.warn({ ...finding }, 'ledger and panel disagree')
    } catch (error) {
      if (!where.signal.aborted) log.warn({ code: codeOf(error) }, 'ledger and panel could not be compared')
    }
  }

  let looking: Promise<void> | undefined
  const timer = setInterval(() => { looking ??= look().finally(() => { looking = undefined }) }, everyMs)
  return {
    stop: async () => {
      clearInterval(timer)
      await looking
    },
  }
}
