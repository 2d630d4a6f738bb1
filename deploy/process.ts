// How Node is started for a service: PM2, the staging system and the benches take it from here; the Dockerfile, the compose files and RUNBOOK.md have to repeat
// it, and deploy/test/process.test.ts holds them to it.
import type { Serving } from '../contracts/services.ts'

/** Without a debugger for whoever may send a signal; and V8's young objects have two halves of 2 MB, not of 16: a service that mostly waits does not miss them. */
export const NODE_ARGS: readonly string[] = ['--disable-sigusr1', '--max-semi-space-size=2']

/** What one service gets besides. Where the same is said twice, the last word counts. */
export const OWN_NODE_ARGS: Readonly<Record<Serving, readonly string[]>> = {
  provisioner: [], reaper: [], notifier: [],
  'claim-store': ['--max-semi-space-size=16'],
  // At 200 forms a second what is under way would become old otherwise, and be collected with all that is.
  gateway: ['--max-semi-space-size=8'],
  // That says 1 MB of young objects, too, and the word before it counts: with 1 a reading of a large group grows old at once, and takes half as long again.
  bot: ['--optimize-for-size'],
}

export const nodeArgsFor = (service: Serving): string[] => [...NODE_ARGS, ...OWN_NODE_ARGS[service]]

/**
 * glibc gives each thread a heap of its own, up to eight for each processor, and keeps what was freed in them: 10 to 20 MB after V8's threads have compiled. All share one here.
 * And once a large block was freed, it takes the next ones of that size from the heap, where they leave holes; a threshold that is set stays where it is.
 */
export const PROCESS_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' }
