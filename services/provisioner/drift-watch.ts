// Looks now and then whether the panel holds what the ledger says, and only says so: whoever repairs asks scripts/drift and looks for themselves.
import { listClaims, type ClaimView } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { every, type Rhythm } from '../common/every.ts'
import { codeOf, transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { PANEL_DRIFT_KINDS, panelDrift, settledOf, type Finding } from './drift.ts'
import type { ProvisionerMetrics } from './metrics.ts'
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

export function watchDrift ({ everyMs, metrics: { driftFindings, driftLook }, log, ...where }: Parameters<typeof lookForDrift>[0] & { everyMs: number, metrics: Pick<ProvisionerMetrics, 'driftFindings' | 'driftLook'>, log: Log }): Rhythm {
  let named: ReadonlySet<string> = new Set()

  async function look (): Promise<void> {
    try {
      const { findings } = await lookForDrift(where)
      for (const kind of PANEL_DRIFT_KINDS) driftFindings.set({ kind }, findings.filter((finding) => finding.kind === kind).length)
      driftLook.setToCurrentTime()
      // Each once, for as long as it stands.
      const words = new Map(findings.slice(0, NAMED_MAX).map((finding) => [JSON.stringify(finding), finding]))
      for (const [word, { kind, memberId, claimId, serverId, userId, owner }] of words) {
        if (!named.has(word)) log.warn({ decision: 'drift.found', code: kind, claim_id: claimId, member_id: memberId, server_id: serverId, user_id: userId, owner }, 'ledger and panel disagree')
      }
      named = new Set(words.keys())
    } catch (error) {
      if (!where.signal.aborted) log.warn({ code: codeOf(error) }, 'ledger and panel could not be compared')
    }
  }

  return every(everyMs, look)
}
