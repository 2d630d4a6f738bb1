// The clock of NATS is the one that everybody sees: this machine's, and that of each service, are held against it.
import { topologyBucket } from '../../contracts/streams.ts'
import { createLog } from '../../services/common/log.ts'
import { createMetrics } from '../../services/common/metrics.ts'
import { SKEW_MS_MAX, startNatsClock, timeIn } from '../../services/common/nats-clock.ts'
import { defineCheck, Unseen, verdictOf, type Finding } from './check.ts'
import { lookAtServices } from './services.ts'

/** Clocks that are kept by NTP differ by less. */
const REMARKED_MS = 5_000
const TODO = 'timedatectl on both machines; start NTP'

export interface Skew { readonly whose: string, readonly ms: number }

export const clockHere = defineCheck('clock-here', [], async (world) => {
  const jsm = await world.jsm()
  const clock = await startNatsClock({
    ask: async () => timeIn(await jsm.streams.info(`KV_${topologyBucket.name}`)),
    now: world.now, log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'),
  })
  clock.stop()
  const ms = clock.skewMs()
  if (ms === null) throw new Unseen('NATS does not say what time it is', 'scripts/topology')
  return judgeSkews([{ whose: 'this machine', ms }])
})

export const clockServices = defineCheck('clock-services', ['HEALTH_URLS'], async (world, { HEALTH_URLS }) => {
  const seen = await lookAtServices(HEALTH_URLS.split(','), world.signal)
  const skews = seen.flatMap(({ service, skewS }) => service === undefined || skewS === undefined ? [] : [{ whose: service, ms: skewS * 1_000 }])
  if (skews.length === 0) throw new Unseen('no service says how far its clock is from that of NATS')
  return judgeSkews(skews)
})

export function judgeSkews (skews: readonly Skew[]): Finding {
  const apart = ({ whose, ms }: Skew): string => `${whose} is ${(Math.abs(ms) / 1_000).toFixed(1)} s ${ms < 0 ? 'behind' : 'ahead of'} NATS`
  const most = Math.max(...skews.map(({ ms }) => Math.abs(ms)))
  return verdictOf(
    skews.filter(({ ms }) => Math.abs(ms) > SKEW_MS_MAX).map(apart),
    `${skews.length === 1 ? skews[0]?.whose : `${skews.length} services`} and NATS differ by ${(most / 1_000).toFixed(1)} s at most`, TODO,
    skews.filter(({ ms }) => Math.abs(ms) > REMARKED_MS && Math.abs(ms) <= SKEW_MS_MAX).map(apart),
  )
}

