// What checks look through: NATS as the operator, as the system user and as a bus, and the directory of secrets. Each is opened when somebody first
// wants it, and shared.
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { secretOf, type SecretName } from '../../deploy/secrets/catalogue.ts'
import { openDirectory, SecretsError, type Directory } from '../../deploy/secrets/directory.ts'
import { seedFileOf } from '../../deploy/secrets/nats-seed.ts'
import { createBus, type Bus } from '../../services/common/bus.ts'
import { connectNats, natsOf, type NatsAccess } from '../../services/common/connect.ts'
import { createLog } from '../../services/common/log.ts'
import { createMetrics } from '../../services/common/metrics.ts'
import { Unseen } from './check.ts'
import type { Settings } from './settings.ts'

export interface World {
  readonly settings: Settings
  readonly now: () => Date
  /** Ends the look of one check. */
  readonly signal: AbortSignal
  /** All of these throw Unseen. */
  nats (): Promise<NatsConnection>
  jsm (): Promise<JetStreamManager>
  /** Sees the servers themselves, and no message of Klaim. */
  system (): Promise<NatsConnection>
  bus (): Promise<Bus>
  directory (): Directory
  secret (name: SecretName): string
}

export interface Opened { readonly world: Omit<World, 'signal'>, close (): Promise<void> }

/** Nobody knows how many will answer: after the last one so long is waited for another. */
export const ANSWERS = { strategy: 'stall', stall: 1_000, maxWait: 5_000 } as const

/** Less than a check may take, so that it can say why. */
const REACH_MS_MAX = 5_000

export function openWorld (settings: Settings, now: () => Date): Opened {
  const access = natsOf(settings)
  const silent = createLog('operator', 'silent', () => {})
  const opened: Array<{ close (): Promise<void> }> = []
  const once = <Value>(open: () => Promise<Value>): () => Promise<Value> => {
    let value: Promise<Value> | undefined
    return () => value ??= open()
  }
  const keeping = async <Value extends { close (): Promise<void> }>(opening: Promise<Value>, otherwise: Unseen): Promise<Value> => {
    const value = await inTime(opening, otherwise)
    opened.push(value)
    return value
  }
  const directory = (): Directory => {
    if (settings.SECRETS_DIRECTORY === undefined) throw new Unseen('SECRETS_DIRECTORY is not set')
    return reading(() => openDirectory(settings.SECRETS_DIRECTORY ?? ''))
  }
  const connected = async (reached: NatsAccess): Promise<NatsConnection> => await keeping(connectNats(reached, 'operator'), new Unseen('NATS cannot be reached', 'is nats-server running, is NATS_URL its address, and does it know this key'))
  const nats = once(async () => await connected(access))
  const world = {
    settings, now, directory, nats,
    jsm: once(async () => await jetstreamManager(await nats(), { checkAPI: false })),
    system: once(async () => {
      await nats()
      return await connected({ ...access, seed: reading(() => directory().text(seedFileOf('system'))) })
    }),
    bus: once(async () => {
      await nats()
      // It waits for the streams, for ever.
      return await keeping(createBus({ ...access, service: 'operator', log: silent, metrics: createMetrics('operator'), now }), new Unseen('the streams are not there', 'scripts/topology'))
    }),
    secret: (name: SecretName) => reading(() => directory().text(secretOf(name).file)),
  }
  return { world, close: async () => { await Promise.all(opened.map(async (each) => { await each.close() })) } }
}

function reading<Value> (read: () => Value): Value {
  try {
    return read()
  } catch (error) {
    if (error instanceof SecretsError) throw new Unseen(error.message)
    throw error
  }
}

async function inTime<Value> (opening: Promise<Value>, otherwise: Unseen): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(reject, REACH_MS_MAX, otherwise) })
  try {
    return await Promise.race([opening.catch(() => { throw otherwise }), late])
  } finally {
    clearTimeout(timer)
  }
}
