import { setTimeout as sleep } from 'node:timers/promises'

/** Nothing may come between what stands before and after a pause of 0. */
export function pause (ms: number): Promise<void> | undefined {
  return ms > 0 ? sleep(ms) : undefined
}
