// The manager of streams for work that takes its time, on a NATS that may only just have started.
import { setTimeout as delay } from 'node:timers/promises'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { RequestError, TimeoutError, type NatsConnection } from '@nats-io/transport-node'

const API_TIMEOUT_MS = 30_000
/** A server that is restarting may take a first question and never answer it; it is asked again. */
const HELLO_MS = 3_000
const HELLO_GAP_MS = 300
const PATIENCE_MS = 30_000

/** Throws what the last question came to, when half a minute has passed. */
export async function managerOf (connection: NatsConnection): Promise<JetStreamManager> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      await (await jetstreamManager(connection, { timeout: HELLO_MS, checkAPI: false })).getAccountInfo()
      return await jetstreamManager(connection, { timeout: API_TIMEOUT_MS, checkAPI: false })
    } catch (error) {
      if (performance.now() > until || !(error instanceof TimeoutError || error instanceof RequestError)) throw error
      await delay(HELLO_GAP_MS)
    }
  }
}
