// What a server that is as contracts/streams.ts describes it says of its streams, consumers and buckets. topology.ts brings it there; whoever looks
// whether it is still so compares with the same. Pure.
import { isDeepStrictEqual } from 'node:util'
import { AckPolicy, DeliverPolicy, DiscardPolicy, PersistMode, RetentionPolicy, StorageType, type ConsumerConfig, type StreamConfig } from '@nats-io/jetstream'
import { nanos } from '@nats-io/transport-node'
import { filtersOf, type BucketDefinition, type ConsumerDefinition, type StreamDefinition } from '../../contracts/streams.ts'

export function streamConfig (definition: StreamDefinition, replicas: number): Partial<StreamConfig> & { name: string } {
  const { name, subjects, summary, maxAgeMs, maxBytes, maxMsgBytes, duplicateWindowMs, schedules, counters, isAnnounced } = definition
  return {
    name, subjects: [...subjects], description: summary,
    retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.Old, num_replicas: replicas,
    max_age: maxAgeMs === null ? 0 : nanos(maxAgeMs), max_bytes: maxBytes, max_msg_size: maxMsgBytes, duplicate_window: nanos(duplicateWindowMs),
    allow_direct: true,
    ...(isAnnounced ? { republish: { src: '>', dest: 'stored.>', headers_only: true } } : {}),
    // A schedule replaces the one on its subject by a roll-up, which the server allows by itself where there are schedules (2.15.1).
    ...(schedules ? { allow_msg_schedules: true, allow_msg_ttl: true, allow_rollup_hdrs: true } : {}),
    // A count is acknowledged before it is on disk, so a server that is killed forgets its last milliseconds; for a limit that is little.
    // A stream in memory would itself be gone after a restart of a single server. Replicated streams have no such mode.
    ...(counters ? { allow_msg_counter: true, max_msgs_per_subject: 1, ...(replicas === 1 ? { persist_mode: PersistMode.Async } : {}) } : {}),
  }
}

/** What may be changed of a consumer that is there. */
export const changeableOf = (definition: ConsumerDefinition): Pick<ConsumerConfig, 'filter_subjects' | 'ack_wait' | 'max_ack_pending' | 'max_deliver'> => ({
  filter_subjects: filtersOf(definition), ack_wait: nanos(definition.ackWaitMs), max_ack_pending: definition.maxAckPending,
  // Deliveries are counted and limited by the reader, who can say the reason in the dead letter.
  max_deliver: -1,
})

export const consumerConfig = (definition: ConsumerDefinition): Partial<ConsumerConfig> =>
  ({ durable_name: definition.name, ack_policy: AckPolicy.Explicit, deliver_policy: DeliverPolicy.All, ...changeableOf(definition) })

const BUCKET_DUPLICATE_WINDOW = nanos(120_000)

/** Of the stream that a bucket is, as the client makes it. */
export function bucketConfig ({ name, summary, history, maxValueBytes, maxBytes, ttlMs }: BucketDefinition, replicas: number): Partial<StreamConfig> & { name: string } {
  const maxAge = ttlMs === null ? 0 : nanos(ttlMs)
  return {
    name: `KV_${name}`, subjects: [`$KV.${name}.>`], description: summary,
    retention: RetentionPolicy.Limits, storage: StorageType.File, discard: DiscardPolicy.New, num_replicas: replicas,
    max_age: maxAge, max_bytes: maxBytes, max_msg_size: maxValueBytes, max_msgs_per_subject: history, duplicate_window: Math.min(BUCKET_DUPLICATE_WINDOW, maxAge || Infinity),
    allow_direct: true, allow_rollup_hdrs: true,
  }
}

export interface Difference { readonly field: string, readonly is: unknown, readonly shouldBe: unknown }

/** Set by the server itself. */
const NOTED = ['metadata', 'name', 'replay_policy', 'max_waiting']

/** A field of which the description says nothing has to be as the server sets it by itself: a limit that was set by hand would throw away what nobody wanted gone. */
export function differences (current: object, wanted: object): Difference[] {
  const [is, shouldBe] = [current, wanted] as [Record<string, unknown>, Record<string, unknown>]
  return [...new Set([...Object.keys(is), ...Object.keys(shouldBe)])].toSorted().flatMap((field) => {
    if (field in shouldBe) return isDeepStrictEqual(is[field], shouldBe[field]) ? [] : [{ field, is: is[field], shouldBe: shouldBe[field] }]
    return NOTED.includes(field) || isUnset(is[field]) ? [] : [{ field, is: is[field], shouldBe: undefined }]
  })
}

function isUnset (value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === undefined || value === null || value === false || value === '' || value === 0 || value === -1 || value === 'none'
}
