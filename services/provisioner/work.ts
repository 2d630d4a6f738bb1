import { setTimeout as delay } from 'node:timers/promises'
import type { claimRequested } from '../../contracts/events/claims.ts'
import type { EventData } from '../common/consume.ts'
import type { Identity } from './identity.ts'
import { stopping } from './panel-budget.ts'
import type { Held } from './progress-store.ts'

/** One claim in work: who it is for, and what is written down. */
export interface Work {
  readonly request: EventData<typeof claimRequested>
  readonly eventId: string
  readonly askedAt: Date
  readonly identity: Identity
  readonly signal: AbortSignal
  held: Held
}

/** Transient Fault STOPPING on abort. */
export async function sleep (ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {})
  if (signal.aborted) throw stopping()
}
