// Who may do what on NATS, derived from the catalogue: a service may say what it is an author of, hear what its consumers are for, ask what
// it is a caller of, and keep its own buckets. deploy/nats/config.ts turns this into the server's configuration.
//
// Rights are a fence, not a wall: a publish acknowledgement can be aimed at a subject that its receiver may not publish on, and a schedule's
// target is not checked against rights (both measured on nats-server 2.15.1). Hence readers check schema, author and cause as well.
import { causesOf } from './causes.ts'
import { EVENTS, REQUESTS } from './catalog.ts'
import { subjectFilter, type EventDefinition, type ServiceName } from './define.ts'
import { claimErased, claimRequested, claimRestored, deletionStarted } from './events/claims.ts'
import { deletionDue, deletionPostponed, pendingSubject } from './events/deletions.ts'
import { deadSubject } from './events/dead-letters.ts'
import { memberJoined, memberLeft } from './events/members.ts'
import { serverProgressed } from './events/servers.ts'
import { BUCKETS, CONSUMERS, limitsStream, topologyBucket, STORED } from './streams.ts'

export interface Rights {
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
  /** Whether it may publish, for a while, on the reply subject of what it was sent. */
  readonly isAsked: boolean
}

/** Every client has inboxes of its own, which nobody else can listen to. */
export const inboxPrefixOf = (service: ServiceName): string => `_INBOX_${service}`

export const LEDGER_STREAM = 'CLAIMS'

/** Newest messages that a service looks up beside those of its consumers: a stream and a subject filter. */
const LOOKS: Readonly<Partial<Record<ServiceName, ReadonlyArray<readonly [stream: string, filter: string]>>>> = {
  'claim-store': [['SERVERS', subjectFilter(serverProgressed)], ['MEMBERS', subjectFilter(memberLeft)], ['MEMBERS', subjectFilter(memberJoined)]],
  provisioner: [['CLAIMS', subjectFilter(claimErased)], ['CLAIMS', subjectFilter(claimRequested)], ['CLAIMS', subjectFilter(claimRestored)]],
  reaper: [['DELETIONS', subjectFilter(deletionPostponed)], ['DELETIONS', pendingSubject('*')]],
}

/** Streams from which a service erases what it is the author of: of former members, and what is about to go by its age. It reads them to find that. What many services say, claim-store erases. */
const ERASES: Readonly<Partial<Record<ServiceName, readonly string[]>>> = {
  'claim-store': [LEDGER_STREAM, 'DEAD_LETTERS', 'OPERATIONS'], provisioner: ['SERVERS'], reaper: ['DELETIONS'], notifier: ['MESSAGES'], bot: ['MEMBERS', 'MESSAGES'],
}
const erasing = (stream: string): string => `$JS.API.STREAM.MSG.DELETE.${stream}`
/** All of a stream, in pages from any node and single messages from the leader. */
const reading = (stream: string): string[] => [`$JS.API.DIRECT.GET.${stream}`, `$JS.API.STREAM.MSG.GET.${stream}`]

/** Streams of which a service learns how full they are. */
const MEASURES: Readonly<Partial<Record<ServiceName, readonly string[]>>> = { 'claim-store': STORED }

/** Of which events a service hears, from the server, that they were stored: no more than their headers. */
const WITNESSES: Readonly<Partial<Record<ServiceName, readonly EventDefinition[]>>> = { bot: [deletionStarted] }

/** What a service writes that is no event. */
const COUNTS: Readonly<Partial<Record<ServiceName, readonly string[]>>> = { gateway: limitsStream.subjects }

/** What the ledger needs of its stream: all of it, by sequence and by member, and word of what was stored. */
const LEDGER_RIGHTS: Rights = { publish: [...reading(LEDGER_STREAM), `$JS.API.STREAM.INFO.${LEDGER_STREAM}`], subscribe: ['stored.claims.*.*'], isAsked: false }

export function rightsOf (service: ServiceName): Rights {
  if (service === 'operator') return { publish: ['>'], subscribe: ['>'], isAsked: false }
  const consumers = CONSUMERS.filter((consumer) => consumer.service === service)
  const consumed = consumers.flatMap(({ events }) => events)
  const answered = REQUESTS.filter((request) => request.service === service)
  const extra = service === 'claim-store' ? LEDGER_RIGHTS : undefined
  const publish = [
    ...EVENTS.filter(({ authors }) => authors.includes(service)).map(saidOn),
    ...REQUESTS.filter(({ callers }) => callers.includes(service)).map(({ subject }) => subject),
    ...consumers.flatMap(({ stream, name }) => [`$JS.API.CONSUMER.INFO.${stream}.${name}`, `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, `$JS.ACK.${stream}.${name}.>`]),
    ...consumed.map((event) => deadSubject(subjectFilter(event))),
    ...consumed.flatMap(causesOf).map((cause) => newestOf(cause.stream, subjectFilter(cause))),
    ...(LOOKS[service] ?? []).map(([stream, filter]) => newestOf(stream, filter)),
    ...BUCKETS.filter((bucket) => bucket.service === service).flatMap(({ name, overwrites }) => [`$KV.${name}.>`, ...reading(`KV_${name}`), ...(overwrites ? [erasing(`KV_${name}`)] : [])]),
    ...(ERASES[service] ?? []).flatMap((stream) => [...reading(stream), erasing(stream)]),
    ...(MEASURES[service] ?? []).map((stream) => `$JS.API.STREAM.INFO.${stream}`),
    `$JS.API.STREAM.MSG.GET.KV_${topologyBucket.name}`,
    // Its answer says what time it is on the server.
    `$JS.API.STREAM.INFO.KV_${topologyBucket.name}`,
    ...COUNTS[service] ?? [],
    ...extra?.publish ?? [],
  ]
  const subscribe = [
    `${inboxPrefixOf(service)}.>`,
    ...answered.map(({ subject }) => subject),
    // The services API: everybody is asked, all of one name, or one of them.
    '$SRV.PING', '$SRV.INFO', '$SRV.STATS', `$SRV.*.${service}`, `$SRV.*.${service}.*`,
    ...(WITNESSES[service] ?? []).map((event) => `stored.${subjectFilter(event)}`),
    ...extra?.subscribe ?? [],
  ]
  return { publish: [...new Set(publish)].toSorted(), subscribe: [...new Set(subscribe)].toSorted(), isAsked: true }
}

/** A due deletion is said by the server's scheduler; the reaper may only ask for it. */
const saidOn = (event: EventDefinition): string => event === deletionDue ? pendingSubject('*') : subjectFilter(event)
const newestOf = (stream: string, filter: string): string => `$JS.API.DIRECT.GET.${stream}.${filter}`
