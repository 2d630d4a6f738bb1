// What to believe of a reading. WhatsApp has answered with an empty list, with a list without the reader, and with hundreds of people
// missing who had gone nowhere; somebody's server hangs on it. So a reading that shows much less than before is only suspected at first.
import { difference, forgotten, identified, learned, membershipOf, recognised, type Aliases, type Membership, type Person, type Reading, type Roster } from './roster.ts'

export interface Suspicion {
  /** Epoch ms of the first reading that showed this. */
  readonly since: number
  /** … and of the last. */
  readonly readAt: number
  readonly reads: number
  readonly people: readonly Person[]
}

export interface Belief {
  /** Null until the first reading ever. */
  readonly roster: Roster | null
  readonly suspicion: Suspicion | null
  /** Epoch ms of the newest reading that could be believed; null where none was in this process. */
  readonly seenAt: number | null
  /** Why the last reading says nothing about anybody. */
  readonly blind: 'empty' | 'without_us' | 'removed' | null
}

export interface BeliefPolicy {
  /** A suspected roster is believed after it was read this many times … */
  readonly confirmReads: number
  /** … over at least this many milliseconds. */
  readonly confirmMs: number
}

export type Verdict = 'first' | 'same' | 'changed' | 'suspect' | 'blind'
export interface Judged { readonly verdict: Verdict, readonly belief: Belief, readonly joined: readonly Person[], readonly left: readonly Person[] }

export const NOTHING_BELIEVED: Belief = { roster: null, suspicion: null, seenAt: null, blind: null }
export const REMOVED = 'removed'

/** More than this many people gone between two readings is not taken at its word. */
export const shrinkMax = (size: number): number => Math.max(5, Math.floor(size / 10))

export function judge (belief: Belief, reading: Reading, policy: BeliefPolicy): Judged {
  const quiet = { joined: [], left: [] }
  if (!reading.includesUs || reading.people.length === 0) {
    return { ...quiet, verdict: 'blind', belief: { ...belief, suspicion: null, blind: reading.includesUs ? 'empty' : 'without_us' } }
  }
  const known = belief.roster && recognised(belief.roster, reading.people)
  const aliases = known ? belief.roster.aliases : learned(belief.roster?.aliases ?? new Map<string, string>(), reading.people)
  const people = known ?? identified(reading.people, aliases)
  const believed = (): Belief => ({ roster: { people, aliases }, suspicion: null, seenAt: reading.readAt, blind: null })
  if (!belief.roster) return { ...quiet, verdict: 'first', belief: believed() }

  // What was believed is identified by all that was known then.
  const before = aliases === belief.roster.aliases ? belief.roster.people : identified(belief.roster.people, aliases)
  const { joined, left } = difference(before, people)
  if (left.length > shrinkMax(before.length)) {
    const suspicion = continued(belief.suspicion, people, reading.readAt)
    if (suspicion.reads < policy.confirmReads || reading.readAt - suspicion.since < policy.confirmMs) {
      return { ...quiet, verdict: 'suspect', belief: { ...belief, roster: { people: before, aliases }, suspicion, blind: null } }
    }
  }
  const same = joined.length + left.length === 0
  return { verdict: same ? 'same' : 'changed', belief: believed(), joined, left }
}

/** The same thing seen again, or something else that has to be seen as often from now on. */
function continued (suspicion: Suspicion | null, people: readonly Person[], now: number): Suspicion {
  if (suspicion) {
    const { joined, left } = difference(suspicion.people, people)
    const slack = shrinkMax(suspicion.people.length)
    if (joined.length <= slack && left.length <= slack) return { since: suspicion.since, readAt: now, reads: suspicion.reads + 1, people }
  }
  return { since: now, readAt: now, reads: 1, people }
}

/** The bot was told that it is not in the group: nothing is known of anybody until a reading says otherwise. */
export const removedFromGroup = (belief: Belief): Belief => ({ ...belief, suspicion: null, blind: REMOVED })

/** A pair learnt outside a reading, from a message or a query. */
export function withAlias (belief: Belief, pair: Required<Person>): Belief {
  if (!belief.roster) return belief
  const aliases: Aliases = learned(belief.roster.aliases, [pair])
  return aliases === belief.roster.aliases ? belief : { ...belief, roster: { aliases, people: identified(belief.roster.people, aliases) } }
}

/** Numbers that are not needed any more. */
export function withoutAliases (belief: Belief, isMeant: (phone: string) => boolean): Belief {
  const roster = belief.roster && forgotten(belief.roster, isMeant)
  return roster === belief.roster ? belief : { ...belief, roster }
}

/** `unknown` unless there is a believed roster no older than `ageMsMax`. While a shrunken one is suspected, only those whom it still shows are known to be present. */
export function membershipIn (belief: Belief, person: Person, now: number, ageMsMax: number): Membership {
  const { roster, suspicion, seenAt, blind } = belief
  if (!roster || blind) return 'unknown'
  if (suspicion) {
    const shown = membershipOf({ people: suspicion.people, aliases: roster.aliases }, person)
    return shown === 'present' && now - suspicion.readAt <= ageMsMax ? 'present' : 'unknown'
  }
  return seenAt === null || now - seenAt > ageMsMax ? 'unknown' : membershipOf(roster, person)
}

export const isReliable = (belief: Belief, now: number, ageMsMax: number): boolean =>
  belief.roster !== null && !belief.blind && !belief.suspicion && belief.seenAt !== null && now - belief.seenAt <= ageMsMax
