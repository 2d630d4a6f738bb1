// scripts/klaim canary: a synthetic member who claims, gets a login, and goes; once, or again and again with metrics.
import { once } from 'node:events'
import { runbookAnchor } from '../../contracts/events/dead-letters.ts'
import { every } from '../../services/common/every.ts'
import { Fault } from '../../services/common/fault.ts'
import { serveHealth } from '../../services/common/health.ts'
import { asOperator, settingsOf } from '../operating/operator.ts'
import { duration, json, optional } from '../operating/options.ts'
import { command, EXIT, type Call } from '../operating/program.ts'
import { spanText } from '../operating/times.ts'
import { CanaryFailure, HeldBack } from './failure.ts'
import { createCanaryRegistry, type CanaryMetrics } from './metrics.ts'
import { runCanary } from './run.ts'
import { Settings } from './settings.ts'

const [EVERY_MS_MIN, EVERY_MS_MAX] = [5_000, 6 * 3_600_000]

type Spoken = Pick<Call, 'env' | 'tell'>

/** Answers the exit code. */
async function runOnce (call: Spoken, settings: Settings, signal: AbortSignal, metrics?: CanaryMetrics): Promise<number> {
  const at = new Date().toISOString()
  let claimId: string | undefined
  /** `result` is the metric's label. */
  const told = (result: string, object: Record<string, unknown>, line: string): void => {
    metrics?.runs.inc({ result })
    call.tell({ at, result, claim_id: claimId ?? null, ...object }, `${at}  ${line}`)
  }
  const failed = (code: string, detail?: string): number => {
    metrics?.lastFailure.setToCurrentTime({ result: code })
    const more = [...(detail === undefined ? [] : [detail]), runbookAnchor(code)].join(', ')
    told(code, { ok: false, code, detail: detail ?? null, runbook: runbookAnchor(code) }, `✗ ${code} (${more})${claimId === undefined ? '' : `: scripts/klaim why ${claimId}`}`)
    return EXIT.no
  }
  // What is said where NATS does not answer counts as a run, too.
  const tell: Call['tell'] = (object, ...lines) => {
    metrics?.lastFailure.setToCurrentTime({ result: String(object['code']) })
    told(String(object['code']), { ...object }, `✗ ${lines.join(' ')}`)
  }
  return await asOperator({ env: call.env, tell }, async (bus) => {
    try {
      const { loginS, goneS } = await runCanary(bus, settings, signal, (made) => { claimId = made })
      metrics?.lastSuccess.setToCurrentTime()
      metrics?.claim.observe(loginS)
      told('ok', { ok: true, login_s: loginS, gone_s: goneS }, `✓ claim ${claimId}: the login after ${spanText(loginS * 1_000)}, gone after ${spanText(goneS * 1_000)}`)
      return EXIT.done
    } catch (error) {
      if (signal.aborted) return EXIT.no
      if (error instanceof CanaryFailure) return failed(error.code, error.detail)
      if (error instanceof Fault) return failed(error.code)
      if (!(error instanceof HeldBack)) throw error
      metrics?.lastHeld.setToCurrentTime()
      told(error.code, { ok: false, code: error.code, held_back: true }, `– held back: ${error.code}`)
      return EXIT.no
    }
  })
}

/** Until it is told to end. What a run has made by then is ordered to be deleted, and the next run looks after it. */
async function runForEver (call: Spoken, settings: Settings, everyMs: number): Promise<void> {
  const { registry, metrics } = createCanaryRegistry(everyMs)
  const health = await serveHealth({ host: settings.HEALTH_HOST, port: settings.HEALTH_PORT, metrics: { registry }, checks: {} })
  const rhythm = every(everyMs, async (signal) => { await runOnce(call, settings, signal, metrics) }, { atOnce: true })
  await Promise.race(['SIGTERM', 'SIGINT'].map(async (signal) => await once(process, signal)))
  await rhythm.stop()
  await health.close()
}

export const canary = command({
  name: 'canary', summary: 'claims as a member of its own does, waits for server and login, and has it deleted again: whether all of Klaim works',
  details: [
    'CANARY_NUMBER_FILE holds the number of an account that is in the group and that nobody else claims with; GATEWAY_URL is where visitors claim. config/.env.example has the rest.',
    'With --every it goes on, and says how it fares on HEALTH_PORT, at /metrics. Run one at a time. Each run is some five chat messages to that account.',
    'What a run left behind, because it was killed or failed, goes at the next one. No claim is touched but its own.',
  ],
  options: { every: optional(duration(EVERY_MS_MIN, EVERY_MS_MAX), 'again and again, so long from the beginning of one run to that of the next'), ...json },
  exits: { [EXIT.no]: 'it did not come through, with a code that RUNBOOK.md explains, or was held back by closed claims or the brake' },
  run: async (call) => {
    const settings = settingsOf(Settings, call.env)
    const { every: everyMs } = call.options
    if (everyMs === undefined) return await runOnce(call, settings, new AbortController().signal)
    await runForEver(call, settings, everyMs)
    return EXIT.done
  },
})
