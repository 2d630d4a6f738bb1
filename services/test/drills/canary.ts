// The canary does not come through, or is not there.
import { startCanary } from '../canary.ts'
import { until } from '../journey.ts'
import { installs } from '../trouble.ts'
import type { Drill } from './drill.ts'
import type { Field } from './field.ts'

/** Three of them are longer than it takes to be told of one that failed. */
const EVERY = '20s'

/** Has come through once, and is watched. */
async function watchedCanary ({ system, prometheus, canaryPort, member }: Field) {
  const start = () => startCanary(system, { number, healthPort: canaryPort, every: EVERY })
  const { number } = member()
  let running = start()
  prometheus.watchCanary(`127.0.0.1:${canaryPort}`)
  await until('the canary is seen to come through', async () => (await prometheus.now('klaim_canary_runs_total{result="ok"} > 0')).length > 0 || undefined)
  return {
    kill: async () => { await running.end('SIGKILL') },
    again: () => { running = start() },
    end: async () => {
      await running.end()
      prometheus.watchCanary()
    },
  }
}

export const canaryDrills: readonly Drill[] = [
  {
    alert: 'CanaryFailed', fault: 'the installs of servers fail, and the canary claims', mitigation: 'the nodes install again, and the canary claims', labels: { result: 'CANARY_CLAIM_FAILED' },
    shows: /klaim_canary_last_failure_timestamp_seconds\{result="CANARY_CLAIM_FAILED"\} \d+/,
    scene: async (field) => {
      const { end } = await watchedCanary(field)
      return {
        cause: async () => { await installs(field.system, 'failure') },
        mend: async () => { await installs(field.system, 'success') },
        end,
      }
    },
  },
  {
    alert: 'CanaryStale', fault: 'the canary is killed (`kill -9`)', mitigation: 'it is started', shows: /connect: connection refused/,
    scene: async (field) => {
      const { kill, again, end } = await watchedCanary(field)
      return { cause: kill, mend: async () => { again() }, end }
    },
  },
]
