// How an operator's command reaches NATS, and what it says where that fails.
import { setTimeout as delay } from 'node:timers/promises'
import { Type, type Static, type TObject } from 'typebox'
import { createBus, type Bus } from '../../services/common/bus.ts'
import { loadConfig } from '../../services/common/config.ts'
import { NatsConfig, natsOf } from '../../services/common/connect.ts'
import { Fault } from '../../services/common/fault.ts'
import { createLog } from '../../services/common/log.ts'
import { createMetrics } from '../../services/common/metrics.ts'
import { CalledWrongly } from './options.ts'
import { EXIT, type Call } from './program.ts'

const REACH_MS_MAX = 10_000

export const NatsSettings = Type.Object(NatsConfig)

/** What `env` says by a schema. Throws CalledWrongly, which names every variable that is missing or wrong. */
export function settingsOf<Schema extends TObject> (schema: Schema, env: Call['env']): Readonly<Static<Schema>> {
  try {
    return loadConfig(schema, env)
  } catch (error) {
    throw new CalledWrongly((error as Error).message)
  }
}

/**
 * Does `work` with a bus of the operator's. Where somebody does not answer it says so with `unsure`, what is then known to have happened, and answers
 * EXIT.unavailable.
 */
export async function asOperator (call: Pick<Call, 'env' | 'tell'>, work: (bus: Bus) => Promise<number>, { unsure = 'Nothing is known to have happened. Try again.' } = {}): Promise<number> {
  const access = natsOf(settingsOf(NatsSettings, call.env))
  const not = (code: string, words: string): number => {
    call.tell({ ok: false, code }, `${code}: ${words}`)
    return EXIT.unavailable
  }
  let bus: Bus
  try {
    bus = await reached(createBus({ ...access, service: 'operator', log: createLog('operator', 'silent', () => {}), metrics: createMetrics('operator'), now: () => new Date() }))
  } catch (error) {
    if (error instanceof Fault && error.code === 'NATS_REFUSED') return not(error.code, 'NATS does not accept this key (NATS_NKEY_SEED_FILE): nothing has happened.')
    return not('NATS_UNAVAILABLE', 'NATS cannot be reached: nothing has happened.')
  }
  try {
    return await work(bus)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return not(error.code, unsure)
  } finally {
    await bus.close()
  }
}

/** A client waits for ever for a server, and for the streams on it. */
async function reached (connecting: Promise<Bus>): Promise<Bus> {
  const late = delay(REACH_MS_MAX, undefined, { ref: false }).then(() => { throw new Error('not reachable') })
  return await Promise.race([connecting, late])
}
