// Whose time is over: former members whose last claim ended long enough ago. Pure.
import { isOver } from '../../contracts/codes.ts'
import type { ClaimView } from '../../contracts/requests.ts'
import type { Projection } from './projection.ts'

export const DAY_MS = 24 * 3_600_000

/** The newest claims of at most `countMax` of them. */
export function retired (projection: Projection, now: Date, retentionMs: number, countMax: number): ClaimView[] {
  const before = new Date(now.getTime() - retentionMs).toISOString()
  const found: ClaimView[] = []
  for (const view of projection.views()) {
    if (found.length >= countMax) break
    if (isOver(view.status) && view.last_event_at <= before && projection.newestOf(view.member_id)?.claim_id === view.claim_id) found.push(view)
  }
  return found
}
