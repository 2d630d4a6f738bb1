// Many departures at once are more likely a mistake, ours or WhatsApp's, than an exodus. Pure.
import { Type, type Static } from 'typebox'

/** What the brake remembers, in one value of the `brake` bucket, so that every replica and every restart sees the same. */
export const BrakeRecord = Type.Object({
  /** Who left lately: pseudonym and time (epoch ms). */
  departures: Type.Array(Type.Tuple([Type.String(), Type.Number()])),
  /** The last known size of the roster. */
  rosterSize: Type.Number(),
  tripped: Type.Union([Type.Object({ at: Type.Number(), reason: Type.String(), releasesAt: Type.Number() }), Type.Null()]),
  /** The latest confirmations, job and time (epoch ms), for the pace. */
  confirmations: Type.Array(Type.Tuple([Type.String(), Type.Number()])),
})
export type BrakeRecord = Static<typeof BrakeRecord>

export const AT_REST: BrakeRecord = { departures: [], rosterSize: 0, tripped: null, confirmations: [] }

export interface BrakePolicy {
  readonly windowMs: number
  readonly departuresMin: number
  readonly departuresShare: number
  /** After so long it releases by itself; every deletion is still confirmed by the roster. */
  readonly holdMs: number
}
export const BRAKE_POLICY: BrakePolicy = { windowMs: 10 * 60_000, departuresMin: 5, departuresShare: 0.1, holdMs: 24 * 3_600_000 }
/** Bounds the record. Far more than trips any brake. */
const REMEMBERED_MAX = 5_000

/** The record after somebody left. `rosterSize`: those still there, if it is known. */
export function departed (record: BrakeRecord, memberId: string, at: number, rosterSize: number | undefined, policy: BrakePolicy): BrakeRecord {
  const recent = record.departures.filter(([member, time]) => time > at - policy.windowMs && member !== memberId).slice(-REMEMBERED_MAX)
  const departures: BrakeRecord['departures'] = [...recent, [memberId, at]]
  const size = rosterSize ?? record.rosterSize
  const before = size + departures.length
  const allowed = Math.max(policy.departuresMin, Math.floor(before * policy.departuresShare))
  const trips = departures.length > allowed && !isOn(record, at)
  const tripped = trips ? { at, reason: `${departures.length} of ${before} left within ${policy.windowMs / 60_000} minutes`, releasesAt: at + policy.holdMs } : record.tripped
  return { ...record, departures, rosterSize: size, tripped }
}

/** Without what it knows of a member. `jobs`: those of the member's deletions. */
export function forgotten (record: BrakeRecord, memberId: string, jobs: ReadonlySet<string>): BrakeRecord | null {
  const departures = record.departures.filter(([member]) => member !== memberId)
  const confirmations = record.confirmations.filter(([job]) => !jobs.has(job))
  return departures.length === record.departures.length && confirmations.length === record.confirmations.length ? null : { ...record, departures, confirmations }
}

export function isOn (record: BrakeRecord, now: number): boolean {
  return record.tripped !== null && now < record.tripped.releasesAt
}

/** Forgets the departures too: what tripped the brake has been looked at, and must not trip it again. */
export const released = (record: BrakeRecord): BrakeRecord => ({ ...record, departures: [], tripped: null })
export const held = (record: BrakeRecord, now: number, reason: string, policy: BrakePolicy): BrakeRecord => ({ ...record, tripped: { at: now, reason, releasesAt: now + policy.holdMs } })

/** The record with one more confirmation in it, or null where the pace is used up. A job that is judged twice, by its schedule and by the sweep, counts once. */
export function paced (record: BrakeRecord, deleteJobId: string, now: number, perMinute: number): BrakeRecord | null {
  const recent = record.confirmations.filter(([, time]) => time > now - 60_000)
  if (recent.some(([job]) => job === deleteJobId)) return record
  return recent.length >= perMinute ? null : { ...record, confirmations: [...recent, [deleteJobId, now]] }
}
