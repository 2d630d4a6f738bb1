// Brings a server to the state that contracts/streams.ts describes: what is missing is created, what differs is updated, what is the same is
// left alone. It needs rights that no service has, so scripts/topology does it, as the operator, before the services of a new version start;
// they wait for its mark.
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { AckPolicy, DeliverPolicy, DiscardPolicy, JetStreamApiError, PersistMode, RetentionPolicy, StorageType, jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream'
import { Kvm } from '@nats-io/kv'
import { nanos, type NatsConnection } from '@nats-io/transport-node'
import { BUCKETS, CONSUMERS, filtersOf, STREAMS, topologyBucket, type BucketDefinition, type ConsumerDefinition, type StreamDefinition } from '../../contracts/streams.ts'
import { openBucket } from './bucket.ts'
import { codeOf, transient } from './fault.ts'
import type { Log } from './log.ts'

const STREAM_NOT_FOUND = 10059
const STREAM_EXISTS = 10058
const CONSUMER_EXISTS = 10148
const MARK = 'mark'
const LOOK_EVERY_MS = 500
const WARN_EVERY_LOOKS = 20

/** Which description this code carries. */
const described = (): string => createHash('sha256').update(JSON.stringify([STREAMS, CONSUMERS.map((consumer) => ({ ...consumer, events: filtersOf(consumer) })), BUCKETS])).digest('hex')

/** `replicas`: 1 on a single node, 3 in a cluster. Throws a transient Fault where JetStream does not answer or is too old. */
export async function ensureTopology (connection: NatsConnection, replicas = 1): Promise<void> {
  const version = connection.info?.version ?? '0.0.0'
  if (!atLeast(version, [2, 14, 3])) throw transient('NATS_TOO_OLD', `nats-server ${version} has no reliable message schedules; 2.14.3 or newer is needed`)
  const jsm = await jetstreamManager(connection)
  const kvm = new Kvm(connection)
  await Promise.all(STREAMS.map(async (definition) => { await ensureStream(jsm, definition, replicas) }))
  await Promise.all([
    ...CONSUMERS.map(async (definition) => { await ensureConsumer(jsm, definition) }),
    ...BUCKETS.map(async (definition) => { await ensureBucket(jsm, kvm, definition, replicas) }),
  ])
  await (await openBucket(connection, topologyBucket)).put(MARK, described())
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

function atLeast (version: string, minimum: readonly number[]): boolean {
  const parts = version.split(/[.-]/).map(Number)
  for (const [index, least] of minimum.entries()) {
    const part = parts[index] ?? 0
    if (part !== least) return part > least
  }
  return true
}

async function ensureStream (jsm: JetStreamManager, definition: StreamDefinition, replicas: number): Promise<void> {
  const { name, subjects, summary, maxAgeMs, maxBytes, maxMsgBytes, duplicateWindowMs, schedules, counters, isAnnounced } = definition
  const config: Partial<StreamConfig> & { name: string } = {
    name, subjects: [...subjects], description: summary,
    retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.Old, num_replicas: replicas,
    max_age: maxAgeMs === null ? 0 : nanos(maxAgeMs), max_bytes: maxBytes, max_msg_size: maxMsgBytes, duplicate_window: nanos(duplicateWindowMs),
    allow_direct: true,
    ...(isAnnounced ? { republish: { src: '>', dest: 'stored.>', headers_only: true } } : {}),
    ...(schedules ? { allow_msg_schedules: true, allow_msg_ttl: true } : {}),
    // A count is acknowledged before it is on disk, so a server that is killed forgets its last milliseconds; for a limit that is little.
    // A stream in memory would itself be gone after a restart of a single server. Replicated streams have no such mode.
    ...(counters ? { allow_msg_counter: true, max_msgs_per_subject: 1, ...(replicas === 1 ? { persist_mode: PersistMode.Async } : {}) } : {}),
  }
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
  const { name, stream, maxAckPending, ackWaitMs } = definition
  const changeable = {
    filter_subjects: filtersOf(definition), ack_wait: nanos(ackWaitMs), max_ack_pending: maxAckPending,
    // Deliveries are counted and limited by the reader, who can say the reason in the dead letter.
    max_deliver: -1,
  }
  try {
    await jsm.consumers.add(stream, { durable_name: name, ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ...changeable })
  } catch (error) {
    // 3.4.0 has no addOrUpdate: a definition that changed is "already exists".
    if (codeOfApi(error) !== CONSUMER_EXISTS) throw error
    await jsm.consumers.update(stream, name, changeable)
  }
}

async function ensureBucket (jsm: JetStreamManager, kvm: Kvm, definition: BucketDefinition, replicas: number): Promise<void> {
  const { name, summary, history, maxValueBytes, maxBytes, ttlMs } = definition
  const stream = `KV_${name}`
  const changeable = { description: summary, max_msgs_per_subject: history, max_msg_size: maxValueBytes, max_bytes: maxBytes, max_age: ttlMs === null ? 0 : nanos(ttlMs), num_replicas: replicas }
  try {
    const { config } = await jsm.streams.info(stream)
    await jsm.streams.update(stream, { ...config, ...changeable, duplicate_window: Math.min(config.duplicate_window || nanos(120_000), changeable.max_age || Infinity) })
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
