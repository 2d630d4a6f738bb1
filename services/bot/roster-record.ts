// The roster as it is stored: the people, the aliases, and the announcements still to be made, in one value, so that one write commits all.
import { constants, gunzipSync, gzipSync } from 'node:zlib'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { GroupId } from '../../contracts/ids.ts'
import { permanent } from '../common/fault.ts'
import { indexOf, type Person, type Roster } from './roster.ts'

const Digits = Type.String({ pattern: '^[0-9]{1,20}$' })
const Announcement = Type.Object({
  kind: Type.Union([Type.Literal('joined'), Type.Literal('left')]),
  phone: Digits,
  revision: Type.Integer({ minimum: 1 }),
  /** ISO time of the reading that showed it. */
  at: Type.String(),
})
export type Announcement = Static<typeof Announcement>

const Stored = Type.Object({
  v: Type.Literal(2),
  /** Whose roster this is. */
  group: GroupId,
  revision: Type.Integer({ minimum: 0 }),
  /** `[lid, phone]`, an empty text for what is not known. */
  people: Type.Array(Type.Tuple([Type.String({ pattern: '^[0-9]{0,20}$' }), Type.String({ pattern: '^[0-9]{0,20}$' })]), { maxItems: 20_000 }),
  /** `[phone, lid]`, oldest first; pairs that the people themselves show are left out. */
  aliases: Type.Array(Type.Tuple([Digits, Digits]), { maxItems: 40_000 }),
  pending: Type.Array(Announcement, { maxItems: 40_000 }),
})

export interface RosterRecord {
  readonly groupId: string
  /** Counts the changes of membership; part of each announcement's id. */
  readonly revision: number
  readonly roster: Roster
  readonly pending: readonly Announcement[]
}

const unpackedBytesMax = 16 * 1024 * 1024

export function packed ({ groupId, revision, roster, pending }: RosterRecord): Uint8Array {
  const { phones } = indexOf(roster.people)
  const stored: Static<typeof Stored> = {
    v: 2,
    group: groupId,
    revision,
    people: roster.people.map(({ phone = '', lid = '' }) => [lid, phone]),
    aliases: roster.aliases.entries().filter(([phone, lid]) => phones.get(phone)?.lid !== lid).toArray(),
    pending: [...pending],
  }
  // It is written before anybody who left is announced. Of the 180 kB of 5,000 people the default level leaves 57 kB instead of 62, and takes three times as long.
  return gzipSync(JSON.stringify(stored), { level: constants.Z_BEST_SPEED })
}

/** Permanent Fault ROSTER_CORRUPT for anything that `packed` did not write. */
export function unpacked (value: Uint8Array): RosterRecord {
  let stored: unknown
  try {
    stored = JSON.parse(gunzipSync(value, { maxOutputLength: unpackedBytesMax }).toString())
  } catch (error) {
    throw permanent('ROSTER_CORRUPT', 'the stored roster cannot be read', { cause: error })
  }
  if (!Value.Check(Stored, stored)) throw permanent('ROSTER_CORRUPT', 'the stored roster is of another shape')
  const people = stored.people.map(([lid, phone]): Person => ({ ...(lid === '' ? {} : { lid }), ...(phone === '' ? {} : { phone }) }))
  const aliases = new Map<string, string>(stored.aliases)
  for (const { phone, lid } of people) if (phone !== undefined && lid !== undefined) aliases.set(phone, lid)
  return { groupId: stored.group, revision: stored.revision, roster: { people, aliases }, pending: stored.pending }
}
