// The streams, their durable consumers and the key-value buckets, as data. services/common/topology.ts brings a server to this state.
// Streams keep by limits: a work queue forgets the message ids of what was acknowledged when the server restarts
// (measured on 2.15.1), so a publish repeated after a restart would be stored twice. `maxBytes` is reserved on the server: 4.2 GiB in all.
import { subjectFilter, type EventDefinition, type ServiceName } from './define.ts'
import { claimActivated, claimDeleted, claimErased, claimFailed, claimRequested, deletionCancelled, deletionScheduled, deletionStarted } from './events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted } from './events/deletions.ts'
import { memberJoined, memberLeft } from './events/members.ts'
import { messageOutbound } from './events/messages.ts'
import { serverDeleted, serverFailed, serverReady } from './events/servers.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const KIB = 1024
const MIB = 1024 * KIB

export interface StreamDefinition {
  readonly name: string
  readonly subjects: readonly string[]
  readonly summary: string
  /** Null: kept for ever. */
  readonly maxAgeMs: number | null
  readonly maxBytes: number
  readonly maxMsgBytes: number
  readonly duplicateWindowMs: number
  /** Holds NATS schedules (`Nats-Schedule`). */
  readonly schedules?: true
  /** The server says on `stored.<subject>`, without the body, what it has stored: a reader who follows the stream needs no consumer of its own. */
  readonly isAnnounced?: true
  /** Holds counters (`Nats-Incr`) instead of events: the newest message of a subject is its total. */
  readonly counters?: true
}

const stream = (name: string, subjects: readonly string[], summary: string, limits: Partial<StreamDefinition> = {}): StreamDefinition =>
  ({ name, subjects, summary, maxAgeMs: 30 * DAY, maxBytes: 256 * MIB, maxMsgBytes: 64 * KIB, duplicateWindowMs: HOUR, ...limits })

/**
 * How often somebody asked within a window: `limits.<kind>.<window>.<keyed pseudonym>`. A window is over long before its count is forgotten; a count
 * is some 100 bytes, so 150,000 are remembered at once, and beyond, those counted longest ago are forgotten.
 */
export const limitsStream = stream('LIMITS', ['limits.*.*.*'], 'How often was asked, for the limits of the gateways',
  { maxAgeMs: 2 * MINUTE, maxBytes: 16 * MIB, maxMsgBytes: 512, duplicateWindowMs: 2 * MINUTE, counters: true })

export const STREAMS: readonly StreamDefinition[] = [
  stream('MEMBERS', ['members.*.joined', 'members.*.left'], 'Who came and who went'),
  // The ledger is the record of claims: it has no age (members are erased from it one by one), and one claim is some seven events of about 1 kB.
  stream('CLAIMS', ['claims.*.*'], 'The ledger of claims', { maxAgeMs: null, maxBytes: 2048 * MIB, isAnnounced: true }),
  stream('SERVERS', ['servers.*.*'], 'What was done on the panel'),
  // No age: it would silently take schedules away before they fire. What has fired carries a time to live of its own.
  stream('DELETIONS', ['deletions.pending.*', 'deletions.due.*', 'deletions.confirmed.*', 'deletions.refuted.*', 'deletions.postponed.*', 'deletions.unscheduled.*'],
    'The delayed deletions', { maxAgeMs: null, maxMsgBytes: 16 * KIB, maxBytes: 512 * MIB, schedules: true }),
  stream('MESSAGES', ['messages.outbound.*', 'messages.delivered.*', 'messages.undeliverable.*'], 'What members are told'),
  stream('DEAD_LETTERS', ['dead.>'], 'What nobody could handle', { maxAgeMs: 90 * DAY, maxMsgBytes: 128 * KIB }),
  // Two messages of some 700 bytes for each request.
  stream('OPERATIONS', ['operations.*.*'], 'What people had services do, who and why', { maxAgeMs: 365 * DAY, maxBytes: 64 * MIB, maxMsgBytes: 8 * KIB }),
  limitsStream,
]

/** How long a stream with an age keeps, in milliseconds. */
export function maxAgeMsOf (name: string): number {
  const maxAgeMs = STREAMS.find((definition) => definition.name === name)?.maxAgeMs
  if (typeof maxAgeMs !== 'number') throw new Error(`${name} has no age`)
  return maxAgeMs
}

export interface ConsumerDefinition {
  /** Durable name, also the name in metrics. */
  readonly name: string
  readonly service: ServiceName
  readonly stream: string
  readonly events: readonly EventDefinition[]
  /** How many messages may be in work at once. 1 keeps the order, and lets one failing message hold back those behind it. */
  readonly maxAckPending: number
  /** So many of them are handled at once by one process; all where it is not said. The others wait here, where what fails is none of those that hold them up. */
  readonly atOnce?: number
  /** Without a sign of life for this long, a message is delivered again: so long a killed process holds up its work. Long work sends signs of life by itself. */
  readonly ackWaitMs: number
  /** After this many deliveries a message goes to DEAD_LETTERS. */
  readonly deliveriesMax: number
  readonly delayMsFirst: number
  readonly delayMsMax: number
}

const consumer = (name: string, service: ServiceName, events: readonly EventDefinition[], policy: Partial<ConsumerDefinition> = {}): ConsumerDefinition => ({
  name, service, events, stream: (events[0] as EventDefinition).stream,
  maxAckPending: 64, ackWaitMs: 10 * SECOND, deliveriesMax: 12, delayMsFirst: 500, delayMsMax: 5 * MINUTE, ...policy,
})

/** A few at a time: NATS takes what one connection writes one after the other, and whoever claims would wait for all servers that got ready in the same moment. */
export const claimStoreServers = consumer('claim-store-servers', 'claim-store', [serverReady, serverFailed, serverDeleted], { atOnce: 4 })
/** One at a time: a leave and the return after it must not change places. */
export const claimStoreMembers = consumer('claim-store-members', 'claim-store', [memberJoined, memberLeft], { maxAckPending: 1, delayMsMax: 30 * SECOND })
export const claimStoreDeletions = consumer('claim-store-deletions', 'claim-store', [deletionConfirmed, deletionRefuted, deletionPostponed])
/** One at a time: what is erased is looked for in whole streams. */
export const claimStoreErased = consumer('claim-store-erased', 'claim-store', [claimErased], { maxAckPending: 1, deliveriesMax: 50 })
/** A claim stays in work from its form to its health check, so many are in work at once; the panel's limits are kept elsewhere. */
export const provisionerClaims = consumer('provisioner-claims', 'provisioner', [claimRequested, deletionStarted, claimErased], { maxAckPending: 1000, deliveriesMax: 500 })
export const reaperClaims = consumer('reaper-claims', 'reaper', [deletionScheduled, deletionCancelled, claimErased])
export const reaperDue = consumer('reaper-due', 'reaper', [deletionDue], { deliveriesMax: 100 })
export const reaperMembers = consumer('reaper-members', 'reaper', [memberLeft], { maxAckPending: 1 })
export const notifierClaims = consumer('notifier-claims', 'notifier', [claimActivated, claimFailed, deletionScheduled, deletionCancelled, claimDeleted, claimErased])
/** One at a time: the pace of sending is the point, and parts of a message must keep their order. */
export const botMessages = consumer('bot-messages', 'bot', [messageOutbound], { maxAckPending: 1, deliveriesMax: 50 })
export const botErased = consumer('bot-erased', 'bot', [claimErased], { maxAckPending: 1, deliveriesMax: 50 })

export const CONSUMERS: readonly ConsumerDefinition[] = [
  claimStoreServers, claimStoreMembers, claimStoreDeletions, claimStoreErased, provisionerClaims, reaperClaims, reaperDue, reaperMembers, notifierClaims, botMessages, botErased,
]

export const filtersOf = (definition: ConsumerDefinition): string[] => definition.events.map(subjectFilter)

export interface BucketDefinition {
  readonly name: string
  readonly service: ServiceName
  readonly summary: string
  readonly history: number
  readonly maxValueBytes: number
  readonly maxBytes: number
  /** Null: kept until deleted. */
  readonly ttlMs: number | null
  /** A value that is replaced is overwritten on the disk, because a member may ask for it to be erased. The history is then only for what could not be overwritten at once. */
  readonly overwrites?: true
}

const bucket = (name: string, service: ServiceName, summary: string, limits: Partial<BucketDefinition> = {}): BucketDefinition =>
  ({ name, service, summary, history: 1, maxValueBytes: 64 * KIB, maxBytes: 64 * MIB, ttlMs: null, ...limits })

/** How far each claim is on the panel: every id that the panel gave, before the next step is taken. */
export const provisioningBucket = bucket('provisioning', 'provisioner', 'Progress of claims on the panel', { history: 5, overwrites: true })
/** Ports picked but not yet taken on the panel; they free themselves. */
export const allocationsBucket = bucket('allocations', 'provisioner', 'Reserved allocations', { ttlMs: 15 * MINUTE })
/** Every version of every template that was ever offered, so that a claim is built from the version it was accepted with. */
export const templatesBucket = bucket('templates', 'provisioner', 'Templates by name and version')
export const brakeBucket = bucket('brake', 'reaper', 'Recent departures and the state of the brake', { history: 5, maxValueBytes: 512 * KIB, overwrites: true })
export const sessionBucket = bucket('whatsapp_session', 'bot', 'Credentials and keys of the linked device, encrypted', { maxValueBytes: 512 * KIB })
export const leaseBucket = bucket('whatsapp_lease', 'bot', 'Which bot holds the session', { ttlMs: 30 * SECOND })
export const rosterBucket = bucket('roster', 'bot', 'The roster as last believed, which LID is which number, and announcements not yet made', { history: 3, maxValueBytes: 900 * KIB, overwrites: true })
export const sentBucket = bucket('sent', 'bot', 'Which messages were handed to WhatsApp, under which ids', { history: 3, ttlMs: 30 * DAY, overwrites: true })

/** A signature holds for two minutes at most (a clock 60 s ahead, looked at 60 s late), so a nonce forgotten after ten cannot be replayed. */
export const noncesBucket = bucket('nonces', 'gateway', 'Nonces of the webhook that were used', { maxValueBytes: 256, maxBytes: 16 * MIB, ttlMs: 10 * MINUTE })

/** One entry, of which every gateway knows: an operator closes and opens. */
export const admissionBucket = bucket('admission', 'gateway', 'Whether new claims are taken', { maxValueBytes: 256, maxBytes: MIB })

/** Written by whoever brings the server to the state that is described here; services wait for it. */
export const topologyBucket = bucket('topology', 'operator', 'That streams, consumers and buckets are there, and by which description', { history: 5, maxValueBytes: KIB, maxBytes: MIB })

export const BUCKETS: readonly BucketDefinition[] = [
  provisioningBucket, allocationsBucket, templatesBucket, brakeBucket, sessionBucket, leaseBucket, rosterBucket, sentBucket, noncesBucket, admissionBucket, topologyBucket,
]

/** Everything that NATS keeps for Klaim, by the name of its stream: a bucket is one, too. */
export const STORED: readonly string[] = [...STREAMS.map(({ name }) => name), ...BUCKETS.map(({ name }) => `KV_${name}`)]
