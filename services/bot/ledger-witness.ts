// A witness to deletions, who has no part in them: when the ledger has started one, the bot looks whether its own roster, as read before, shows
// the member in the group. Nobody acts on what it says; it is counted, and must never be more than 0.
import { subjectFilter } from '../../contracts/define.ts'
import { deletionStarted } from '../../contracts/events/claims.ts'
import { getClaim } from '../../contracts/requests.ts'
import type { Bus } from '../common/bus.ts'
import { codeOf } from '../common/fault.ts'
import type { Log } from '../common/log.ts'
import { isReliable, type Belief } from './belief.ts'
import type { BotMetrics } from './metrics.ts'
import { hasUnnamed, type Membership, type Roster } from './roster.ts'

export interface WitnessOptions {
  readonly bus: Pick<Bus, 'raw' | 'clock' | 'request'>
  /** Undefined while another bot holds the session: then it is the witness. */
  readonly belief: () => Belief | undefined
  readonly ageMsMax: number
  readonly memberIdOf: (waJid: string) => string
  readonly metrics: Pick<BotMetrics, 'witnessed' | 'ofPresent' | 'lastOfPresent'>
  readonly log: Log
}

/** Hears what NATS says that it has stored; of what was stored while nobody listened there is no witness, and nothing is counted again after a restart. */
export function witnessDeletions ({ bus, belief, ageMsMax, memberIdOf, metrics, log }: WitnessOptions): { stop: () => void } {
  let counted: { roster: Roster, ids: ReadonlySet<string> } | undefined
  const idsIn = (roster: Roster): ReadonlySet<string> => {
    if (counted?.roster !== roster) counted = { roster, ids: new Set([...phonesIn(roster)].map((phone) => memberIdOf(`${phone}@s.whatsapp.net`))) }
    return counted.ids
  }

  /** An operator may have ordered it for somebody who is there; where nobody can say so, it was not ordered. */
  async function accuse (memberId: string): Promise<void> {
    const found = await bus.request(getClaim, { member_id: memberId }).catch((error: unknown) => {
      log.warn({ member_id: memberId, code: codeOf(error) }, 'nobody says whether a deletion was ordered')
      return null
    })
    const isOrdered = found?.ok === true && found.claim.deletion_even_if_present === true
    metrics.witnessed.inc({ membership: isOrdered ? 'ordered' : 'present' })
    if (isOrdered) return
    metrics.ofPresent.inc()
    metrics.lastOfPresent.setToCurrentTime()
    log.error({ decision: 'deletion.witnessed', member_id: memberId, code: 'DELETION_OF_PRESENT' }, 'a deletion has started of a member whom the roster shows in the group')
  }

  const subscription = bus.raw.connection.subscribe(`stored.${subjectFilter(deletionStarted)}`, {
    callback: (error, { subject, headers }) => {
      const believed = belief()
      if (error || !believed) return
      const memberId = subject.split('.')[2] ?? ''
      const heardAt = Date.now()
      const storedAt = Date.parse(headers?.get('Nats-Time-Stamp') ?? '')
      // Held against NATS's clock, because by ours the bot reads the group.
      const lateMs = Number.isNaN(storedAt) ? 0 : Math.max(0, bus.clock.now().getTime() - storedAt)
      const membership = isReliable(believed, heardAt, ageMsMax) && believed.roster ? membershipAt(believed, memberId, idsIn(believed.roster), heardAt - lateMs) : 'unknown'
      if (membership === 'present') void accuse(memberId)
      else metrics.witnessed.inc({ membership })
    },
  })
  return { stop: () => { subscription.unsubscribe() } }
}

/** All numbers, former ones too, of those in the group: whoever changed numbers still holds what was claimed under the old one. */
function phonesIn ({ people, aliases }: Roster): Set<string> {
  const lids = new Set(people.flatMap(({ lid }) => lid === undefined ? [] : [lid]))
  return new Set([...people.flatMap(({ phone }) => phone === undefined ? [] : [phone]), ...[...aliases].flatMap(([phone, lid]) => lids.has(lid) ? [phone] : [])])
}

/** What the roster says of the moment `startedAt`. Whom only a later reading shows may have come back since. */
export function membershipAt ({ roster, seenAt }: Belief, memberId: string, ids: ReadonlySet<string>, startedAt: number): Membership {
  if (!roster || seenAt === null) return 'unknown'
  if (ids.has(memberId)) return seenAt <= startedAt ? 'present' : 'unknown'
  return hasUnnamed(roster) ? 'unknown' : 'absent'
}
