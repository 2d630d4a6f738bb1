import { setTimeout as delay } from 'node:timers/promises'
import type { claimRequested } from '../../contracts/events/claims.ts'
import type { EventData } from '../common/consume.ts'
import type { Identity } from './identity.ts'
import { stopping } from './panel-budget.ts'
import type { Held } from './progress-store.ts'
import type { Progress } from './provisioning.ts'
import type { Turn } from './turns.ts'

/** One claim in work: who it is for, how far it is, and what of that is stored. */
export interface Work {
  readonly request: EventData<typeof claimRequested>
  readonly eventId: string
  readonly askedAt: Date
  readonly identity: Identity
  readonly signal: AbortSignal
  /** Held until its account is made, or none is to be made. */
  turn?: Turn | undefined
  /** Made in advance, for the first account. */
  password?: Promise<{ readonly password: string, readonly sealed: string }> | undefined
  /** How far the claim is: written down, or on its way there. */
  progress: Progress
  /** Ends when all of `progress` is written down. */
  written: Promise<Held | null>
  /** Ends when all that was written down before is overwritten. */
  overwritten: Promise<void>
  /** Ends when all that was announced is stored. */
  said: Promise<unknown>
  /** What is left to do of it when nothing more is written down or announced. */
  overwriteLast?: () => Promise<void>
}

/** Resolves when all of it is on the disk. Throws what kept it from there. */
export async function stored ({ written, said }: Work): Promise<void> {
  await Promise.all([written, said])
}

/** Transient Fault STOPPING on abort. */
export async function sleep (ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await delay(ms, undefined, { signal }).catch(() => {})
  if (signal.aborted) throw stopping()
}
