import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { CLAIM_STATUSES, FAILURE_CODES } from '../../contracts/codes.ts'
import type { ClaimView } from '../../contracts/requests.ts'
import { LEAD_BUCKETS } from '../common/lead.ts'
import { fromZero } from '../common/metrics.ts'
import type { Claim, ClaimEvent } from './claim.ts'

export type ClaimStoreMetrics = ReturnType<typeof createClaimStoreMetrics>

/** `views`: every claim that is known; asked at each scrape, as is `now`, epoch ms. */
export function createClaimStoreMetrics (registry: Registry, { views, now }: { views: () => Iterable<ClaimView>, now: () => number }) {
  const registers = [registry]
  const claims = new Gauge({
    name: 'klaim_claims', help: 'Claims in the ledger, by status; each claim-store counts all of them', labelNames: ['status'] as const, registers,
    collect () {
      const { counts, creatingSince } = tally(views())
      for (const status of CLAIM_STATUSES) this.set({ status }, counts[status])
      creatingOldest.set(creatingSince === null ? 0 : Math.max(0, now() - creatingSince) / 1_000)
    },
  })
  const creatingOldest: Gauge = new Gauge({ name: 'klaim_claim_creating_oldest_seconds', help: 'Age of the oldest claim that is still being created; 0 where none is', registers })
  return {
    claims, creatingOldest,
    requested: new Counter({ name: 'klaim_claims_requested_total', help: 'Claims accepted', registers }),
    active: new Counter({ name: 'klaim_claims_active_total', help: 'Claims that became active', registers }),
    failed: fromZero(new Counter({ name: 'klaim_claims_failed_total', help: 'Claims that failed, by code', labelNames: ['code'] as const, registers }), FAILURE_CODES.map((code) => ({ code }))),
    deleted: new Counter({ name: 'klaim_claims_deleted_total', help: 'Claims whose server is gone', registers }),
    scheduled: new Counter({ name: 'klaim_deletions_scheduled_total', help: 'Deletions scheduled because a member left; a later time for the same one is not counted', registers }),
    cancelled: new Counter({ name: 'klaim_deletions_cancelled_total', help: 'Deletions cancelled', registers }),
    activeSeconds: new Histogram({ name: 'klaim_claim_active_seconds', help: 'Time from the accepted claim to the server that answers', buckets: [...LEAD_BUCKETS], registers }),
    bookBytes: new Gauge({ name: 'klaim_book_bytes', help: 'Size of the book', registers }),
    bookClaims: new Gauge({ name: 'klaim_book_claims', help: 'Claims in the book as it was written last by this process, by kind of book', labelNames: ['kind'] as const, registers }),
    bookSeconds: new Histogram({ name: 'klaim_book_write_seconds', help: 'Time to write the book', buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3], registers }),
    storageBytes: new Gauge({ name: 'klaim_jetstream_storage_bytes', help: 'What all streams and buckets hold together, at the last look', registers }),
    storageLimit: new Gauge({ name: 'klaim_jetstream_storage_limit_bytes', help: 'What all streams and buckets may hold together, which NATS has set aside for them', registers }),
    streamBytes: new Gauge({ name: 'klaim_stream_bytes', help: 'What a stream or bucket (KV_…) holds, at the last look', labelNames: ['stream'] as const, registers }),
    streamLimit: new Gauge({ name: 'klaim_stream_limit_bytes', help: 'What a stream or bucket may hold; beyond it a stream loses its oldest messages, and a bucket takes no more', labelNames: ['stream'] as const, registers }),
    streamMessages: new Gauge({ name: 'klaim_stream_messages', help: 'Messages in a stream or bucket, at the last look', labelNames: ['stream'] as const, registers }),
    deadLetters: new Gauge({ name: 'klaim_dead_letters', help: 'Messages in DEAD_LETTERS, at the last look', registers }),
  }
}

/** What claims there are, and since when (epoch ms) the oldest of those that are being created; null where none is. */
export function tally (views: Iterable<ClaimView>): { counts: Record<ClaimView['status'], number>, creatingSince: number | null } {
  const counts = { creating: 0, active: 0, failed: 0, deleting: 0, deleted: 0 }
  let oldest: string | undefined
  for (const { status, created_at } of views) {
    counts[status]++
    if (status === 'creating' && (oldest === undefined || created_at < oldest)) oldest = created_at
  }
  return { counts, creatingSince: oldest === undefined ? null : Date.parse(oldest) }
}

/** Counts one decision of this process, once. `claim` is the state before it, `at` its time in epoch ms. */
export function countDecision (metrics: ClaimStoreMetrics, claim: Claim, event: ClaimEvent, at: number): void {
  switch (event.type) {
    case 'Requested': return metrics.requested.inc()
    case 'Activated': {
      metrics.active.inc()
      if (claim.status !== 'none') metrics.activeSeconds.observe(Math.max(0, at - claim.askedAt) / 1_000)
      return
    }
    case 'Failed': return metrics.failed.inc({ code: event.code })
    case 'DeletionScheduled': {
      if (event.reason === 'left') metrics.scheduled.inc()
      return
    }
    case 'DeletionCancelled': return metrics.cancelled.inc()
    case 'Deleted': return metrics.deleted.inc()
    case 'DeletionStarted':
    case 'Erased':
    case 'Restored': return
    default: event satisfies never
  }
}
