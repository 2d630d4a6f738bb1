// Wake-ups, departures and the sweep, turned into verdicts and said on the DELETIONS stream.
import pLimit from 'p-limit'
import type { Static } from 'typebox'
import { claimErased, deletionCancelled, deletionScheduled, departureKey } from '../../contracts/events/claims.ts'
import { deletionConfirmed, deletionDue, deletionPostponed, deletionRefuted, deletionUnscheduled, pendingSubject } from '../../contracts/events/deletions.ts'
import { memberLeft } from '../../contracts/events/members.ts'
import { getBrake, getClaim, listClaims, rosterSummary, scheduleDeletion, setBrake, type ClaimView, type RepairAnswer } from '../../contracts/requests.ts'
import { answering, type Bus, type Responder } from '../common/bus.ts'
import { on, type Handler } from '../common/consume.ts'
import { eventId } from '../common/envelope.ts'
import { eraseMessages } from '../common/erase-stream.ts'
import { outcomeOf } from '../common/event-line.ts'
import { codeOf } from '../common/fault.ts'
import { checkForgotten } from '../common/forgotten.ts'
import type { Log } from '../common/log.ts'
import type { Membership } from '../common/membership.ts'
import { onWord } from '../common/operations.ts'
import { inSpan, klaimAttributes, remark } from '../common/tracing.ts'
import { departed, forgotten, held, isOn, paced, released, type BrakePolicy, type BrakeRecord } from './brake.ts'
import type { BrakeStore } from './brake-store.ts'
import { beforeRoster, byRoster, type RosterAnswer, type Verdict } from './policy.ts'

/** What a deletion's events are kept for, in seconds. */
export const KEPT_S = 30 * 24 * 3600
/** What was said about earlier departures of one claim has gone by its age. */
const DEPARTURES_MAX = 1_000
const SPREAD_PACE_MS = 4 * 60_000
/** So many claims a sweep looks at together: each takes two questions to NATS, and 100,000 one after the other would take longer than the minute between two sweeps. */
const SWEPT_AT_ONCE = 16
const NOT_SCHEDULED: RepairAnswer = { ok: false, rejection: 'NOT_SCHEDULED' }

export interface ReaperOptions {
  readonly bus: Bus
  readonly brake: BrakeStore
  readonly membership: Membership
  readonly log: Log
  readonly now: () => Date
  readonly graceMs: number
  readonly outageMs: number
  readonly postponeMs: number
  readonly deletionsPerMinute: number
  readonly brakePolicy: BrakePolicy
  readonly onVerdict: (verdict: string) => void
}

export interface Reaper {
  readonly claimHandlers: readonly Handler[]
  readonly dueHandlers: readonly Handler[]
  readonly memberHandlers: readonly Handler[]
  readonly responders: readonly Responder[]
  /** Re-creates missing schedules and judges what is overdue: the second of two independent triggers. Answers what it saw. */
  sweep (): Promise<{ pending: number, overdueMs: number, brakeIsOn: boolean }>
}

interface Job { readonly delete_job_id: string, readonly claim_id: string, readonly member_id: string }

export function createReaper (options: ReaperOptions): Reaper {
  const { bus, brake, membership, log, now, postponeMs, deletionsPerMinute, brakePolicy, onVerdict } = options

  /** `again`: what makes this another message than the first, which the stream would otherwise know for an hour and not store twice. */
  async function schedule (job: Job, at: number, causation: string, again = ''): Promise<void> {
    const due_at = new Date(at).toISOString()
    await bus.schedule(deletionDue, { key: `${job.delete_job_id}:${at}${again}`, data: { ...jobOf(job), due_at }, at: new Date(at), on: pendingSubject(job.delete_job_id), correlation: job.claim_id, causation })
  }

  /** Those of which it was said: the sweep looks every minute. */
  const waitForTheClock = new Set<string>()

  /** One look at a job. Safe to do twice, at the same time, or for a job that is long over. */
  const judge = async (job: Job): Promise<void> => { await inSpan('judge', { attributes: klaimAttributes(job) }, async () => { await look(job) }) }

  async function look (job: Job): Promise<void> {
    // Who does not know what time it is judges nobody. The sweep looks again every minute.
    if (bus.clock.isSkewed()) {
      onVerdict('clock')
      if (!waitForTheClock.has(job.delete_job_id)) log.error({ decision: 'deletion.waits', ...jobOf(job), code: 'CLOCK_SKEWED' }, 'a deletion waits until our clock and that of NATS agree')
      waitForTheClock.add(job.delete_job_id)
      return
    }
    waitForTheClock.clear()
    const claim = await currentClaim(job.claim_id)
    const at = now().getTime()
    const record = await brake.read()
    const verdict = beforeRoster(job.delete_job_id, claim, {
      now: at, brakeIsOn: isOn(record, at), paceAllows: paced(record, job.delete_job_id, at, deletionsPerMinute) !== null, outageMs: options.outageMs,
      postponedAt: await postponedAt(job.delete_job_id),
    }) ?? byRoster(await ask(claim as ClaimView))
    await carryOut(job, claim, verdict)
  }

  async function carryOut (job: Job, claim: ClaimView | null, verdict: Verdict): Promise<void> {
    const due_at = claim?.deletion_scheduled_at ?? now().toISOString()
    const causation = departureOf(job, due_at)
    const about = { correlation: job.claim_id, causation, ttlS: KEPT_S }
    const word = verdict.kind === 'postpone' ? verdict.reason : verdict.kind
    onVerdict(word)
    remark({ 'klaim.verdict': word })
    switch (verdict.kind) {
      case 'drop':
        log.info({ decision: 'deletion.dropped', ...jobOf(job) }, 'deletion is no longer current')
        return
      case 'wait':
        await schedule(job, verdict.until, causation)
        log.info({ decision: 'deletion.waits', ...jobOf(job), until: new Date(verdict.until).toISOString() }, 'deletion is not due yet')
        return
      case 'refute':
        await bus.publish(deletionRefuted, { key: `${job.delete_job_id}:${verdict.seenAt}`, data: { ...jobOf(job), present_at: new Date(verdict.seenAt).toISOString() }, ...about })
        return
      case 'confirm': {
        if (!await brake.change((record) => paced(record, job.delete_job_id, now().getTime(), deletionsPerMinute))) {
          await postpone(job, due_at, 'pace')
          return
        }
        await bus.publish(deletionConfirmed, { key: `${job.delete_job_id}:${verdict.seenAt}`, data: { ...jobOf(job), due_at, absent_at: new Date(verdict.seenAt).toISOString(), ...(verdict.evenIfPresent ? { even_if_present: true as const } : {}) }, ...about })
        return
      }
      case 'postpone':
        await postpone(job, due_at, verdict.reason)
        return
      default:
        verdict satisfies never
    }
  }

  async function postpone (job: Job, due_at: string, reason: Static<typeof deletionPostponed.data>['reason']): Promise<void> {
    const causation = departureOf(job, due_at)
    const until = now().getTime() + delayOf(reason)
    await bus.publish(deletionPostponed, {
      // An outage is told to the ledger once per promised time, so that the member is warned once.
      key: reason === 'outage' ? `${job.delete_job_id}:outage:${due_at}` : `${job.delete_job_id}:${until}`,
      data: { ...jobOf(job), due_at, until: new Date(until).toISOString(), reason }, correlation: job.claim_id, causation, ttlS: KEPT_S,
    })
    await schedule(job, until, causation)
  }

  function delayOf (reason: string): number {
    // A fresh warning must leave time to come back.
    if (reason === 'outage') return Math.min(options.graceMs, 3_600_000)
    // Those who wait for the pace come back spread out, not all at once.
    if (reason === 'pace') return Math.min(60_000, postponeMs) + Math.random() * Math.min(SPREAD_PACE_MS, postponeMs)
    return postponeMs
  }

  async function currentClaim (claimId: string): Promise<ClaimView | null> {
    const answer = await bus.request(getClaim, { claim_id: claimId })
    return answer.ok ? answer.claim : null
  }

  /** A live answer is of a reading that began after the question, so the time of asking is what it proves, whatever the bot's clock says. */
  async function ask (claim: ClaimView): Promise<RosterAnswer> {
    const askedAt = now().getTime()
    try {
      const { membership: is, seen_at: seenAt } = await membership.check(claim.wa_jid, { live: true })
      return is === 'unknown' || seenAt === null ? { membership: 'unknown' } : { membership: is, seenAt: askedAt }
    } catch (error) {
      log.warn({ claim_id: claim.claim_id, member_id: claim.member_id, code: codeOf(error), err: error }, 'the roster could not be asked')
      return { membership: 'unknown' }
    }
  }

  async function postponedAt (deleteJobId: string): Promise<number | null> {
    const last = await bus.last('DELETIONS', `deletions.postponed.${deleteJobId}`, [deletionPostponed])
    return last ? Date.parse((last.event.data as Static<typeof deletionPostponed.data>).until) : null
  }

  /** Everything about the deletions of a former member, a schedule that is left included. */
  async function forget ({ member_id: memberId, claims }: Static<typeof claimErased.data>): Promise<void> {
    const jobs = claims.flatMap(({ claim_id: claimId, departures }) => Array.from({ length: Math.min(departures, DEPARTURES_MAX) }, (_, n) => `${claimId}-d${departures - n}`))
    let events = 0
    for (const job of jobs) events += await eraseMessages(bus, { stream: 'DELETIONS', filter: `deletions.*.${job}` })
    await brake.change((record) => forgotten(record, memberId, new Set(jobs)))
    log.info({ decision: 'member.forgotten', member_id: memberId, events }, 'the deletions of a former member are erased')
  }

  /** Sizes come from the bot; without it the last known one has to do. */
  async function rosterSize (): Promise<number | undefined> {
    try {
      const { state, size } = await bus.request(rosterSummary, {})
      return state === 'known' ? size : undefined
    } catch {
      return undefined
    }
  }

  async function sweep (): Promise<{ pending: number, overdueMs: number, brakeIsOn: boolean }> {
    const at = now().getTime()
    let [pending, overdueMs] = [0, 0]
    const atOnce = pLimit(SWEPT_AT_ONCE)
    for (const status of ['deleting', 'creating'] as const) {
      let after: string | undefined
      do {
        const { claims, next } = await bus.request(listClaims, { status, limit: 200, ...(after ? { after } : {}) })
        const looks = await Promise.allSettled(claims.map(async (claim) => await atOnce(async () => {
          const standing = await standingOf(claim)
          if (!standing) return
          pending++
          const { job, dueAt, wakesAt, causation } = standing
          // Since the promised time: what is put off again and again is as late as what nobody looks at.
          overdueMs = Math.max(overdueMs, at - dueAt)
          if (wakesAt > at) await ensureScheduled(job, wakesAt, causation)
          else await judge(job)
        })))
        const failed = looks.find((look) => look.status === 'rejected')
        if (failed) throw failed.reason
        after = next
      } while (after !== undefined)
    }
    return { pending, overdueMs: Math.max(0, overdueMs), brakeIsOn: isOn(await brake.read(), at) }
  }

  /** The departure of a claim that can still be taken back; null where there is none. */
  async function standingOf (claim: ClaimView): Promise<{ job: Job, dueAt: number, wakesAt: number, causation: string } | null> {
    const { delete_job_id, deletion_scheduled_at: promised, claim_id, member_id, status } = claim
    if (delete_job_id === null || promised === null || claim.deletion_started || (status !== 'deleting' && status !== 'creating')) return null
    const job = { delete_job_id, claim_id, member_id }
    const dueAt = Date.parse(promised)
    return { job, dueAt, wakesAt: Math.max(dueAt, await postponedAt(delete_job_id) ?? 0), causation: departureOf(job, promised) }
  }

  /** False where there is one. */
  async function ensureScheduled (job: Job, at: number, causation: string): Promise<boolean> {
    if (await bus.lastSequence('DELETIONS', pendingSubject(job.delete_job_id)) !== 0) return false
    await schedule(job, at, causation, `:${now().getTime()}`)
    log.warn({ decision: 'deletion.rescheduled', ...jobOf(job) }, 'a missing schedule is made again')
    return true
  }

  /** For one claim, what the sweep does for all. What is due is the sweep's to judge. A wake-up that comes for nothing does nothing. */
  async function scheduleAgain (claim: ClaimView): Promise<RepairAnswer> {
    const standing = await standingOf(claim)
    if (!standing || standing.wakesAt <= now().getTime()) return NOT_SCHEDULED
    return { ok: true, outcome: await ensureScheduled(standing.job, standing.wakesAt, standing.causation) ? 'done' : 'already' }
  }

  /** By NATS's time where ours is wrong: others delete by this answer. */
  const shown = (record: BrakeRecord): Static<typeof getBrake.answer> => {
    const tripped = isOn(record, bus.clock.now().getTime()) ? record.tripped : null
    return {
      ok: true, tripped: tripped !== null, tripped_at: tripped && new Date(tripped.at).toISOString(), reason: tripped && tripped.reason,
      releases_at: tripped && new Date(tripped.releasesAt).toISOString(),
    }
  }

  return {
    sweep,
    claimHandlers: [
      on(deletionScheduled, async ({ id, data }) => { await schedule(data, Date.parse(data.deletion_scheduled_at), id) }),
      on(claimErased, async ({ data }, { count }) => {
        await checkForgotten(bus, data, count)
        await forget(data)
      }),
      on(deletionCancelled, async ({ id, data }) => {
        await bus.publish(deletionUnscheduled, { key: data.delete_job_id, data: jobOf(data), correlation: data.claim_id, causation: id, ttlS: KEPT_S, cancelSchedule: pendingSubject(data.delete_job_id) })
      }),
    ],
    dueHandlers: [
      on(deletionDue, async ({ data }, { scheduler }) => {
        // Only the server's own scheduler says that something is due.
        if (scheduler !== pendingSubject(data.delete_job_id)) {
          log.error({ decision: 'command.refused', ...jobOf(data) }, 'a due message that no schedule produced is passed over')
          return
        }
        await judge(data)
      }),
    ],
    memberHandlers: [
      // By the stream's time: that of whoever told may be wrong, and one of yesterday would trip a brake that has released itself.
      on(memberLeft, async ({ data }, { storedAt }) => {
        const size = await rosterSize()
        const before = await brake.read()
        const after = await brake.change((record) => departed(record, data.member_id, storedAt.getTime(), size, brakePolicy))
        if (after && isOn(after, now().getTime()) && !isOn(before, now().getTime())) log.error({ decision: 'brake.tripped', reason: after.tripped?.reason }, 'the brake is on: nothing is deleted until it is released')
      }),
    ],
    responders: [
      answering(getBrake, async () => shown(await brake.read())),
      answering(setBrake, async ({ tripped, by, why }) => await onWord(bus, { request: setBrake, by, why, detail: tripped ? 'on' : 'off' }, async () => {
        const record = await brake.change((current) => tripped ? held(current, now().getTime(), why, brakePolicy) : released(current))
        log.warn({ decision: tripped ? 'brake.held' : 'brake.released', by, why }, 'an operator set the brake')
        return shown(record as BrakeRecord)
      })),
      answering(scheduleDeletion, async ({ claim_id: claimId, by, why }) => {
        const claim = await currentClaim(claimId)
        const answer = claim ? await onWord(bus, { request: scheduleDeletion, by, why, about: { memberId: claim.member_id, claimId } }, async () => await scheduleAgain(claim)) : NOT_SCHEDULED
        log.warn({ decision: 'deletion.rescheduled', claim_id: claimId, by, why, ...outcomeOf(answer) }, 'an operator has a missing schedule made again')
        return answer
      }),
    ],
  }
}

/** Id of the event by which the ledger decided this deletion: it, and no wake-up, is what everything here comes from. */
function departureOf ({ delete_job_id }: Job, dueAt: string): string {
  return eventId(deletionScheduled, departureKey(delete_job_id, Date.parse(dueAt)))
}

function jobOf ({ delete_job_id, claim_id, member_id }: Job): Job {
  return { delete_job_id, claim_id, member_id }
}
