// Turns readings of the group into stored facts. What is believed and what has still to be said about it are one value, written at once:
//   1. write the new roster with its announcements   2. publish them   3. write the roster without them
// Dying between any two leaves either nothing, or announcements that are published (again, under the same ids) at the next chance.
import { memberJoined, memberLeft } from '../../contracts/events/members.ts'
import type { Bus } from '../common/bus.ts'
import type { Bucket } from '../common/bucket.ts'
import { transient } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { apart } from '../common/tracing.ts'
import { judge, NOTHING_BELIEVED, removedFromGroup, withAlias, withoutAliases, type Belief, type BeliefPolicy, type Verdict } from './belief.ts'
import type { BotMetrics } from './metrics.ts'
import { membershipOf, numbersOf, type Person, type Reading } from './roster.ts'
import { packed, unpacked, type Announcement } from './roster-record.ts'

export interface Announcer {
  belief (): Belief
  /** Transient Faults where NATS does not answer; the same reading, or the next, makes up for it. */
  take (reading: Reading): Promise<Verdict>
  removed (): void
  /** A pair of number and LID seen in a message or an answer. */
  learn (pair: Required<Person>): Promise<void>
  /** Forgets the number of a former member, unless somebody in the group has it. */
  forget (memberId: string): Promise<void>
  /** Publishes what an earlier write left unsaid. */
  flush (): Promise<void>
  /** Says of one member what the newest reading shows, although nothing has changed. False where that reading does not show it (any more): then nothing is said. */
  sayAgain (movement: Shown): Promise<boolean>
}

/** What a reading showed of somebody. */
export interface Shown {
  readonly kind: Announcement['kind']
  /** Under which number it is said, and the number that WhatsApp knows them by: mostly the same. */
  readonly waJid: string
  readonly phone: string
  /** Epoch ms of the reading. */
  readonly seenAt: number
}

export interface AnnouncerOptions {
  readonly bucket: Bucket
  readonly bus: Pick<Bus, 'publish'>
  readonly groupId: string
  readonly memberIdOf: (waJid: string) => string
  readonly policy: BeliefPolicy
  readonly log: Log
  readonly metrics: BotMetrics
}

/** Not the group's id: those from before 2021 begin with the number of whoever made the group, and the name of an entry is no secret. */
export const ROSTER_KEY = 'group'
const WA_JID = /^[1-9][0-9]{5,16}@s\.whatsapp\.net$/

export async function createAnnouncer ({ bucket, bus, groupId, memberIdOf, policy, log, metrics }: AnnouncerOptions): Promise<Announcer> {
  let belief: Belief = NOTHING_BELIEVED
  /** Number of membership changes so far, and the entry's revision in the bucket; 0: there is none. */
  let changes = 0
  let entryRevision = 0
  let pending: readonly Announcement[] = []
  await load()

  async function load (): Promise<void> {
    const entry = await bucket.get(ROSTER_KEY)
    if (!entry) return
    const record = unpacked(entry.value)
    entryRevision = entry.revision
    changes = record.revision
    // What is known of another group says nothing about this one: it is read as for the first time.
    if (record.groupId !== groupId) return
    // When it was read is not taken over: what was stored by an earlier process is old until the group has been read again.
    belief = { ...belief, roster: record.roster }
    pending = record.pending
  }

  async function write (next: Belief, revision: number, announcements: readonly Announcement[]): Promise<void> {
    if (!next.roster) {
      belief = next
      return
    }
    const value = packed({ groupId, revision, roster: next.roster, pending: announcements })
    const written = entryRevision === 0 ? await bucket.create(ROSTER_KEY, value) : await bucket.update(ROSTER_KEY, value, entryRevision)
    if (written === null) {
      // Our own write whose answer was lost, or another bot's: either way what is stored is newer than what we hold.
      await load()
      throw transient('ROSTER_CONFLICT', 'the stored roster has changed meanwhile')
    }
    entryRevision = written
    changes = revision
    pending = announcements
    belief = next
  }

  async function flush (): Promise<void> {
    if (pending.length === 0) return
    for (const { kind, phone, revision, at } of pending) {
      const wa_jid = `${phone}@s.whatsapp.net`
      const member_id = memberIdOf(wa_jid)
      // Whoever had the group read anew has nothing to do with it.
      await apart(async () => await bus.publish(kind === 'joined' ? memberJoined : memberLeft, {
        key: `${member_id}:${revision}`,
        data: { member_id, wa_jid, group_id: groupId, occurred_at: at, observed_by: 'roster' },
      }))
    }
    await write(belief, changes, [])
  }

  async function take (reading: Reading): Promise<Verdict> {
    await flush()
    const judged = judge(belief, reading, policy)
    metrics.readings.inc({ verdict: judged.verdict })
    if (judged.verdict === 'suspect' || judged.verdict === 'blind') {
      log.error({ decision: 'roster.disbelieved', reason: judged.verdict, blind: judged.belief.blind, shown: reading.people.length, believed: belief.roster?.people.length, reads: judged.belief.suspicion?.reads },
        'the roster is not to be believed; nobody is announced')
    }
    const aliases = judged.belief.roster?.aliases ?? new Map<string, string>()
    const announced = (kind: Announcement['kind'], people: readonly Person[]): Announcement[] => people.flatMap((person) => {
      const numbers = numbersOf(person, aliases).filter((phone) => WA_JID.test(`${phone}@s.whatsapp.net`))
      metrics.drift.inc({ kind: numbers.length === 0 ? `${kind}_unresolved` : kind })
      if (numbers.length === 0) log.warn({ decision: 'movement.unannounced', movement: kind }, 'somebody came or went whose number was never seen')
      return numbers.map((phone) => ({ kind, phone, revision: changes + 1, at: new Date(reading.readAt).toISOString() }))
    })
    const news = [...announced('joined', judged.joined), ...announced('left', judged.left)]
    const isStale = belief.roster === null || judged.joined.length + judged.left.length > 0 || changedShape(belief, judged.belief)
    if (isStale) await write(judged.belief, judged.verdict === 'changed' ? changes + 1 : changes, news)
    else belief = judged.belief
    await flush()
    return judged.verdict
  }

  /** One at a time, in the order of asking: each step builds on the revision that the one before it wrote. */
  let last: Promise<unknown> = Promise.resolve()
  async function inTurn<Result> (work: () => Promise<Result>): Promise<Result> {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return await turn
  }

  return {
    belief: () => belief,
    take: async (reading) => await inTurn(async () => await take(reading)),
    removed: () => { belief = removedFromGroup(belief) },
    learn: async (pair) => await inTurn(async () => {
      const next = withAlias(belief, pair)
      if (next !== belief) await write(next, changes, pending)
    }),
    forget: async (memberId) => await inTurn(async () => {
      const next = withoutAliases(belief, (phone) => memberIdOf(`${phone}@s.whatsapp.net`) === memberId)
      if (next !== belief) await write(next, changes, pending)
    }),
    flush: async () => await inTurn(flush),
    // In turn, so that whatever a later reading tells comes later in the stream, where the last word counts.
    sayAgain: async ({ kind, waJid, phone, seenAt }) => await inTurn(async () => {
      await flush()
      const { roster, suspicion, blind } = belief
      if (!roster || suspicion || blind || belief.seenAt !== seenAt) return false
      const isThere = [phone, waJid.slice(0, waJid.indexOf('@'))].some((number) => membershipOf(roster, { phone: number }) === 'present')
      if (isThere !== (kind === 'joined')) return false
      const member_id = memberIdOf(waJid)
      await bus.publish(kind === 'joined' ? memberJoined : memberLeft, {
        key: `${member_id}:drift:${seenAt}`,
        data: { member_id, wa_jid: waJid, group_id: groupId, occurred_at: new Date(seenAt).toISOString(), observed_by: 'roster' },
      })
      return true
    }),
  }
}

/** Nobody came or went, yet what is worth keeping has changed: a number came to light, somebody has a new one. */
function changedShape (before: Belief, after: Belief): boolean {
  if (before.roster?.aliases !== after.roster?.aliases) return true
  const unnamed = (belief: Belief): number => belief.roster?.people.filter(({ phone }) => phone === undefined).length ?? 0
  return unnamed(before) !== unnamed(after)
}
