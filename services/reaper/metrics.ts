import { Counter, Gauge, type Registry } from 'prom-client'
import { POSTPONE_REASONS } from '../../contracts/codes.ts'
import { fromZero } from '../common/metrics.ts'

/** What a look at a deletion can come to: a verdict, why it waits, or that our clock is wrong. */
export const VERDICTS = ['confirm', 'refute', 'wait', 'drop', 'clock', ...POSTPONE_REASONS] as const

export function createReaperMetrics (registry: Registry) {
  const registers = [registry]
  return {
    verdicts: fromZero(new Counter({ name: 'klaim_deletion_verdicts_total', help: 'Looks at deletions that were due, by what came of them', labelNames: ['verdict'] as const, registers }), VERDICTS.map((verdict) => ({ verdict }))),
    pending: new Gauge({ name: 'klaim_deletions_pending', help: 'Scheduled deletions, at the last sweep', registers }),
    overdue: new Gauge({ name: 'klaim_deletions_overdue_seconds', help: 'How late the most overdue deletion is by the promised time, at the last sweep', registers }),
    brakeOn: new Gauge({ name: 'klaim_brake_on', help: '1 while all deletions wait, at the last sweep', registers }),
    sweptAt: new Gauge({ name: 'klaim_deletions_sweep_timestamp_seconds', help: 'When a sweep of the deletions last came to its end; 0: not yet', registers }),
  }
}
