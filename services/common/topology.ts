// Brings a server to the state that contracts/streams.ts describes: what is missing is created, what differs is updated, what is the same is
// left alone. It needs rights that no service has, so scripts/topology does it, as the operator, before the services of a new version start;
// they wait for its mark.
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { JetStreamApiError, StorageType, jetstreamManager, type ConsumerInfo, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { errors, RequestError, type NatsConnection } from '@nats-io/transport-node'
import { LEDGER_STREAM } from '../../contracts/access.ts'
import { BUCKETS, CONSUMERS, filtersOf, STREAMS, topologyBucket, type BucketDefinition, type ConsumerDefinition, type StreamDefinition, STORED } from '../../contracts/streams.ts'
import { openBucket } from './bucket.ts'
import { codeOf, Fault, transient } from './fault.ts'
import type { Log } from './log.ts'
import { isAway, patiently } from './patience.ts'
import { bucketConfig, changeableOf, consumerConfig, streamConfig } from './topology-config.ts'

/** The oldest version whose message schedules were found reliable. */
export const NATS_VERSION_MIN = '2.14.3'
const STREAM_NOT_FOUND = 10059
const STREAM_EXISTS = 10058
const CONSUMER_NOT_FOUND = 10014
const CONSUMER_EXISTS = 10148
const NO_SUITABLE_PEERS = 10005
const UNAVAILABLE_STATUS = 503
const MARK = 'mark'
const LOOK_EVERY_MS = 500
const WARN_EVERY_LOOKS = 20
/** A cluster chooses a new leader within 4 to 9 s, and each of our streams has its own. */
const CHANGING_MS_MAX = 60_000
const AGAIN_EVERY_MS = 250

/** Which description this code carries. */
const described = (): string => createHash('sha256').update(JSON.stringify([STREAMS, CONSUMERS.map((consumer) => ({ ...consumer, events: filtersOf(consumer) })), BUCKETS])).digest('hex')

/**
 * `given`: on how many nodes of a cluster everything is kept, 1 or 3; without it, on as many as the ledger is. A cluster that has just lost a leader,
 * or a stream on its way to more nodes, takes no call for some seconds: that is waited for, a minute at most. Throws what the server said last.
 */
export async function ensureTopology (connection: NatsConnection, given?: number): Promise<void> {
  const until = performance.now() + CHANGING_MS_MAX
  const patiently = async <Result>(call: () => Promise<Result>): Promise<Result> => await persisting(until, call)
  const { version } = await patiently(async () => await serverOf(connection))
  if (!isNewEnough(version)) throw transient('NATS_TOO_OLD', `nats-server ${version} has no reliable message schedules; ${NATS_VERSION_MIN} or newer is needed`)
  const jsm = await patiently(async () => await jetstreamManager(connection))
  const kvm = new Kvm(connection)
  const replicas = given ?? Math.max(1, await patiently(async () => await replicasOf(jsm, LEDGER_STREAM)))
  const growing = await patiently(async () => await shortOf(jsm, STORED, replicas))
  await Promise.all(STREAMS.map(async (definition) => { await patiently(async () => { await ensureStream(jsm, definition, replicas) }) }))
  await Promise.all([
    ...CONSUMERS.map(async (definition) => { await patiently(async () => { await ensureConsumer(jsm, definition) }) }),
    ...BUCKETS.map(async (definition) => { await patiently(async () => { await ensureBucket(jsm, kvm, definition, replicas) }) }),
  ])
  await Promise.all(growing.map(async (name) => { await wholeOn(jsm, name, replicas) }))
  await patiently(async () => await (await openBucket(connection, topologyBucket)).put(MARK, described()))
}

/** Between two servers of a cluster there is none. */
async function serverOf (connection: NatsConnection): Promise<{ version: string }> {
  if (!connection.info) throw transient('NATS_UNAVAILABLE', 'there is no connection to a server')
  return connection.info
}

/** Calls again what a cluster in motion did not take. Each of our calls says what shall be, so one that was carried out unheard does no harm. */
const persisting = async <Result>(until: number, call: () => Promise<Result>): Promise<Result> => await patiently(call, { until, everyMs: AGAIN_EVERY_MS, isPassing })

function isPassing (error: unknown): boolean {
  if (error instanceof Fault) return isAway(error)
  if (error instanceof JetStreamApiError) return error.status === UNAVAILABLE_STATUS || error.code === NO_SUITABLE_PEERS
  // Where nobody leads, nobody listens; the client calls that JetStream not being enabled, and does not export the error (3.4.0).
  return [error, (error as Error).cause].some((each) => each instanceof errors.TimeoutError || each instanceof RequestError)
}

/** Resolves when a server has been brought to a described state; for as long as it takes. During a rollout that may be another version's. */
export async function topologyReady (connection: NatsConnection, log: Log): Promise<void> {
  const bucket = await openBucket(connection, topologyBucket)
  for (let looks = 0; !connection.isClosed(); looks++) {
    try {
      const mark = await bucket.get(MARK)
      if (mark) {
        if (mark.text() !== described()) log.warn('the streams are those of another version; run scripts/topology if that is not meant')
        return
      }
    } catch (error) {
      log.debug({ code: codeOf(error) }, 'the streams cannot be looked at')
    }
    if (looks % WARN_EVERY_LOOKS === WARN_EVERY_LOOKS - 1) log.warn('waiting for the streams; scripts/topology makes them')
    await delay(LOOK_EVERY_MS)
  }
}

export function isNewEnough (version: string): boolean {
  const parts = version.split(/[.-]/).map(Number)
  for (const [index, least] of NATS_VERSION_MIN.split('.').entries()) {
    const part = parts[index] ?? 0
    if (part !== Number(least)) return part > Number(least)
  }
  return true
}

/** 0: there is no such stream. */
async function replicasOf (jsm: JetStreamManager, stream: string): Promise<number> {
  try {
    return (await jsm.streams.info(stream)).config.num_replicas
  } catch (error) {
    if (codeOfApi(error) !== STREAM_NOT_FOUND) throw error
    return 0
  }
}

/** Those of the streams that are there, and on fewer nodes than wanted. */
async function shortOf (jsm: JetStreamManager, names: readonly string[], wanted: number): Promise<string[]> {
  const found = await Promise.all(names.map(async (name) => ({ name, replicas: await replicasOf(jsm, name) })))
  return found.filter(({ replicas }) => replicas > 0 && replicas < wanted).map(({ name }) => name)
}

/**
 * Waits until each node has all of a stream, a minute at most. What was given more nodes is not safer but more fragile until then: where the first
 * node is lost before, the others may never choose a leader. That holds for each consumer by itself, too (seen in 1 of 6 trials on nats-server
 * 2.15.1). Of a stream that is restored the consumers come after it: `consumers` says how many there have to be.
 */
export async function wholeOn (jsm: JetStreamManager, stream: string, wanted: number, consumers = 0): Promise<void> {
  await persisting(performance.now() + CHANGING_MS_MAX, async () => { await isWholeOn(jsm, stream, wanted, consumers) })
}

async function isWholeOn (jsm: JetStreamManager, stream: string, wanted: number, consumers: number): Promise<void> {
  const parts: Array<StreamInfo | ConsumerInfo> = [await jsm.streams.info(stream)]
  for await (const consumer of jsm.consumers.list(stream)) parts.push(consumer)
  const isWhole = parts.length > consumers && parts.every(({ cluster }) => cluster?.leader && (cluster.replicas ?? []).filter(({ current }) => current).length >= wanted - 1)
  if (!isWhole) throw transient('NATS_UNAVAILABLE', `${stream} is not on ${wanted} nodes yet`)
}

async function ensureStream (jsm: JetStreamManager, definition: StreamDefinition, replicas: number): Promise<void> {
  const { name, counters } = definition
  const config = streamConfig(definition, replicas)
  try {
    const { config: current } = await jsm.streams.info(name)
    // The mode cannot be changed, and what counters hold is worth a minute.
    if (counters && current.num_replicas !== replicas) {
      await jsm.streams.delete(name)
      await ignoring(STREAM_EXISTS, jsm.streams.add(config))
      return
    }
    await jsm.streams.update(name, config)
  } catch (error) {
    if (codeOfApi(error) !== STREAM_NOT_FOUND) throw error
    await ignoring(STREAM_EXISTS, jsm.streams.add(config))
  }
}

async function ensureConsumer (jsm: JetStreamManager, definition: ConsumerDefinition): Promise<void> {
  const { name, stream } = definition
  const changeable = changeableOf(definition)
  try {
    const { config } = await jsm.consumers.info(stream, name)
    // Said again though nothing differs, it may find no answer for as long as a node is away (seen on nats-server 2.15.1).
    if (!isDeepStrictEqual({ ...config, ...changeable }, config)) await jsm.consumers.update(stream, name, changeable)
  } catch (error) {
    if (codeOfApi(error) !== CONSUMER_NOT_FOUND) throw error
    await ignoring(CONSUMER_EXISTS, jsm.consumers.add(stream, consumerConfig(definition)))
  }
}

async function ensureBucket (jsm: JetStreamManager, kvm: Kvm, definition: BucketDefinition, replicas: number): Promise<void> {
  const { name, summary, history, maxValueBytes, maxBytes, ttlMs } = definition
  const wanted = bucketConfig(definition, replicas)
  try {
    const { config } = await jsm.streams.info(wanted.name)
    await jsm.streams.update(wanted.name, { ...config, ...wanted })
  } catch (error) {
    if (codeOfApi(error) !== STREAM_NOT_FOUND) throw error
    await ignoring(STREAM_EXISTS, kvm.create(name, {
      description: summary, history, maxValueSize: maxValueBytes, max_bytes: maxBytes, ttl: ttlMs ?? 0, storage: StorageType.File, replicas, allow_direct: true,
    }))
  }
}

/** Two services starting together both find nothing and both create. */
async function ignoring (code: number, promise: Promise<unknown>): Promise<void> {
  try {
    await promise
  } catch (error) {
    if (codeOfApi(error) !== code) throw error
  }
}

function codeOfApi (error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined
}
