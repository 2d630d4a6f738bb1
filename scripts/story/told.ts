// What the streams hold about one claim, in the order in which NATS took it in.
import type { StoredMsg } from '@nats-io/jetstream'
import { EVENTS } from '../../contracts/catalog.ts'
import { setBrake } from '../../contracts/requests.ts'
import type { Bus } from '../../services/common/bus.ts'
import { decodeEvent } from '../../services/common/envelope.ts'
import { eventNameOf } from '../../services/common/event-line.ts'
import { pagesOf } from '../../services/common/page.ts'
import { noticeIds } from '../../services/notifier/wording.ts'
import { letterOf } from '../letters/letter.ts'
import { operationsIn } from '../operating/audit.ts'

/** One thing that was said. `data` is unmasked. */
export interface Told {
  readonly at: Date
  readonly stream: string
  readonly sequence: number
  /** `claim.requested`; beside the events of the catalogue a wake-up that waits (`deletion.pending`), a `dead_letter` and what is none of these (`unknown`). */
  readonly event: string
  readonly who: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Of one subject. A claim is some seven events; what is beyond is noise. */
const READ_MAX = 1_000
const PAGE = 200

/** Oldest first. Transient Fault NATS_UNAVAILABLE. */
export async function storyOf (bus: Pick<Bus, 'raw'>, claimId: string, memberId: string): Promise<Told[]> {
  const read = async (stream: string, filter: string): Promise<StoredMsg[]> => (await pagesOf(bus.raw.jsm, stream, { from: 1, filter, size: PAGE, max: READ_MAX })).messages
  const events = async (stream: string, ...filters: string[]): Promise<Told[]> => (await Promise.all(filters.map(async (filter) => await read(stream, filter)))).flat().map((message) => toldIn(stream, message))
  const ledger = await events('CLAIMS', `claims.${memberId}.*`)
  const decided = ledger.filter(({ data }) => data['claim_id'] === claimId)
  const jobs = [...new Set(decided.flatMap(({ data: { delete_job_id: job } }) => typeof job === 'string' ? [job] : []))]
  const notices = noticesOf(claimId, decided, jobs)
  const [rest, members, operations, reaper, letters] = await Promise.all([
    Promise.all([events('SERVERS', `servers.${claimId}.*`), events('DELETIONS', ...jobs.map((job) => `deletions.*.${job}`)), events('MESSAGES', ...notices.map((id) => `messages.*.${id}`))]),
    events('MEMBERS', `members.${memberId}.*`),
    read('OPERATIONS', `operations.*.${memberId}`), read('OPERATIONS', 'operations.reaper.none'),
    Promise.all([`claims.${memberId}.*`, `members.${memberId}.*`, `servers.${claimId}.*`, ...jobs.map((job) => `deletions.*.${job}`), ...notices.map((id) => `messages.*.${id}`)].map(async (filter) => await read('DEAD_LETTERS', `dead.${filter}`))),
  ])
  const [from, to] = lifeOf(decided)
  return [
    ...decided, ...rest.flat(),
    // Of other claims of the member nothing is told here.
    ...members.filter(({ at }) => at.getTime() >= from && at.getTime() <= to),
    ...wordsIn(operations).filter(({ at, data }) => data['claim_id'] === claimId || (data['claim_id'] === undefined && at.getTime() >= from)),
    ...brakesWithin(wordsIn(reaper), decided, to),
    ...letters.flat().map(letterIn).filter(({ data }) => data['claim_id'] === claimId || data['claim_id'] === undefined),
  ].toSorted((one, other) => one.at.getTime() - other.at.getTime())
}

/** The ids of all that the member can have been told about this claim. */
function noticesOf (claimId: string, decided: readonly Told[], jobs: readonly string[]): string[] {
  const warnings = decided.flatMap(({ data: { delete_job_id: job, deletion_scheduled_at: due } }) => typeof job === 'string' && typeof due === 'string' ? [noticeIds.warning(job, new Date(due))] : [])
  return [...new Set([noticeIds.login(claimId), noticeIds.failed(claimId), ...jobs.flatMap((job) => [noticeIds.cancelled(job), noticeIds.deleted(job)]), ...warnings])]
}

function toldIn (stream: string, { subject, header, data, time: at, seq: sequence }: StoredMsg): Told {
  const about = { at, stream, sequence }
  const isPending = subject.startsWith('deletions.pending.')
  try {
    const decoded = decodeEvent(EVENTS, { subject: isPending ? subject.replace('pending', 'due') : subject, headers: header, data })
    if (!decoded) return { ...about, event: 'unknown', who: 'somebody', data: {} }
    const { definition, event: { author, data: said } } = decoded
    const event = isPending ? 'deletion.pending' : eventNameOf(definition)
    // A wake-up is said by the server's scheduler.
    return { ...about, event, who: event === 'deletion.due' ? 'NATS' : author, data: said }
  } catch {
    return { ...about, event: 'unknown', who: 'somebody', data: {} }
  }
}

function wordsIn (messages: readonly StoredMsg[]): Told[] {
  return operationsIn(messages).map(({ at, sequence, ...data }) => ({ at, stream: 'OPERATIONS', sequence, event: `operator.acted.${data.service}`, who: 'operator', data: { ...data } }))
}

/** The brake holds every deletion, so what was done with it is part of the story of each: how it stood when the member left, and what came after. */
function brakesWithin (words: readonly Told[], decided: readonly Told[], to: number): Told[] {
  const leaving = decided.find(({ event }) => event === 'claim.deletion_scheduled')?.at.getTime() ?? Infinity
  const brakes = words.filter(({ at, data }) => data['operation'] === setBrake.name && at.getTime() <= to)
  const before = brakes.findLast(({ at }) => at.getTime() < leaving)
  return brakes.filter((word) => word.at.getTime() >= leaving || (word === before && leaving < Infinity && word.data['detail'] === 'on'))
}

function letterIn (message: StoredMsg): Told {
  const letter = letterOf(message)
  const about = { at: message.time, stream: 'DEAD_LETTERS', sequence: message.seq, event: 'dead_letter' }
  if (!letter) return { ...about, who: 'somebody', data: {} }
  const { reason, consumer, subject, deliveries, claimId, help } = letter
  return { ...about, who: consumer.service, data: { reason, consumer: consumer.name, subject, deliveries, runbook: help, ...(claimId === undefined ? {} : { claim_id: claimId }) } }
}

/** From the request to the end, epoch milliseconds. */
function lifeOf (decided: readonly Told[]): [number, number] {
  const end = decided.findLast(({ event }) => event === 'claim.failed' || event === 'claim.deleted')
  return [decided[0]?.at.getTime() ?? 0, end?.at.getTime() ?? Infinity]
}
