import { brakeBucket, reaperClaims, reaperDue, reaperMembers } from '../../contracts/streams.ts'
import { startAging } from '../common/aging.ts'
import { createBus } from '../common/bus.ts'
import { natsOf } from '../common/connect.ts'
import { every } from '../common/every.ts'
import { codeOf } from '../common/fault.ts'
import { createMembership } from '../common/membership.ts'
import { run, type Start } from '../common/run.ts'
import { firstOf } from '../common/secret-pair.ts'
import { BRAKE_POLICY } from './brake.ts'
import { createBrakeStore } from './brake-store.ts'
import { Config } from './config.ts'
import { createReaperMetrics } from './metrics.ts'
import { createReaper, KEPT_S } from './service.ts'

const OUTAGE_MS_MIN = 15 * 60_000

export const start: Start<Config> = async (config, { log, metrics, now }) => {
  const bus = await createBus({ ...natsOf(config), service: 'reaper', log, metrics, now })
  const membership = createMembership(config.BOT_URL, firstOf(config.INTERNAL_SECRET))
  const { verdicts, pending, overdue, brakeOn, sweptAt } = createReaperMetrics(metrics.registry)

  const reaper = createReaper({
    bus, membership, log, now, brake: createBrakeStore(await bus.bucket(brakeBucket)),
    graceMs: config.GRACE_MS, outageMs: config.OUTAGE_MS ?? Math.max(config.GRACE_MS, OUTAGE_MS_MIN), postponeMs: config.POSTPONE_MS,
    deletionsPerMinute: config.DELETIONS_PER_MINUTE, brakePolicy: { ...BRAKE_POLICY, departuresMin: config.BRAKE_DEPARTURES_MIN },
    onVerdict: (verdict) => { verdicts.inc({ verdict }) },
  })
  await bus.respond(reaper.responders)
  // Departures first, so that the brake knows of a mass leave before what came of it falls due.
  bus.consume(reaperMembers, reaper.memberHandlers)
  bus.consume(reaperClaims, reaper.claimHandlers)
  bus.consume(reaperDue, reaper.dueHandlers)

  // A schedule may be older; it goes when it fires.
  const aging = startAging({ bus, what: ['due', 'confirmed', 'refuted', 'postponed', 'unscheduled'].map((event) => ({ stream: 'DELETIONS', filter: `deletions.${event}.*`, maxAgeMs: KEPT_S * 1_000 })), now, log })
  const sweeping = every(config.SWEEP_EVERY_MS, async () => {
    try {
      const seen = await reaper.sweep()
      pending.set(seen.pending)
      overdue.set(seen.overdueMs / 1_000)
      brakeOn.set(seen.brakeIsOn ? 1 : 0)
      sweptAt.set(now().getTime() / 1_000)
    } catch (error) {
      log.warn({ code: codeOf(error) }, 'the sweep was interrupted')
    }
  })

  return {
    checks: { nats: () => bus.isConnected() ? 'ok' : 'disconnected' },
    stop: async () => {
      await sweeping.stop()
      await aging.stop()
      await bus.close()
      await membership.close()
    },
  }
}

export const main = async (): Promise<void> => { await run('reaper', Config, start) }
if (import.meta.main) await main()
