// Who is in the group, and what a new reading of it means. WhatsApp shows a person by phone number, by LID, or by both, and not always by
// the same: a person is phone JID ∪ LID, joined through the aliases seen before. Nobody's number is ever guessed.

/** Both are user parts only: digits of `<phone>@s.whatsapp.net` and of `<lid>@lid`. At least one is there. */
export interface Person { readonly phone?: string, readonly lid?: string }

/** What groupMetadata showed, without the bot itself. */
export interface Reading {
  /** Epoch ms when the question was asked: what it shows is at least this new. */
  readonly readAt: number
  /** The bot found itself in the list. A list without it is not to be believed. */
  readonly includesUs: boolean
  readonly people: readonly Person[]
}

/** phone → lid, for every pair ever seen and still worth knowing. A person who changed numbers has several. */
export type Aliases = ReadonlyMap<string, string>

export interface Roster { readonly people: readonly Person[], readonly aliases: Aliases }

export interface Difference { readonly joined: readonly Person[], readonly left: readonly Person[] }

export type Membership = 'present' | 'absent' | 'unknown'

interface Index { readonly phones: ReadonlyMap<string, Person>, readonly lids: ReadonlyMap<string, Person> }

/** A list is asked about many times between two readings, and never changed. */
const indexes = new WeakMap<readonly Person[], Index>()

export function indexOf (people: readonly Person[]): Index {
  const known = indexes.get(people)
  if (known) return known
  const index = { phones: new Map<string, Person>(), lids: new Map<string, Person>() }
  for (const person of people) {
    if (person.phone !== undefined) index.phones.set(person.phone, person)
    if (person.lid !== undefined) index.lids.set(person.lid, person)
  }
  indexes.set(people, index)
  return index
}

const holds = ({ phones, lids }: Index, { phone, lid }: Person): boolean =>
  (phone !== undefined && phones.has(phone)) || (lid !== undefined && lids.has(lid))

/** The same people with what the aliases know filled in, each once. A hidden person whose number was never seen stays a LID. */
export function identified (people: readonly Person[], aliases: Aliases): Person[] {
  /** Mostly nobody hides the number, and thousands are in the group. */
  let byAlias: Map<string, string> | undefined
  const phoneOf = (hidden: string): string | undefined => (byAlias ??= new Map([...aliases].map(([phone, lid]) => [lid, phone]))).get(hidden)
  const byLid = new Map<string, Person>()
  const byPhone = new Map<string, Person>()
  for (const shown of people) {
    const lid = shown.lid ?? (shown.phone === undefined ? undefined : aliases.get(shown.phone))
    const phone = shown.phone ?? (shown.lid === undefined ? undefined : phoneOf(shown.lid))
    const known = (lid === undefined ? undefined : byLid.get(lid)) ?? (phone === undefined ? undefined : byPhone.get(phone))
    // What was shown wins over what is remembered: an alias may be of a number the person has given up.
    const isAsShown = known === undefined && phone === shown.phone && lid === shown.lid
    const person: Person = isAsShown ? shown : { ...(phone === undefined ? {} : { phone }), ...(lid === undefined ? {} : { lid }), ...known, ...shown }
    if (known?.phone !== undefined && known.phone !== person.phone) byPhone.delete(known.phone)
    if (person.lid !== undefined) byLid.set(person.lid, person)
    if (person.phone !== undefined) byPhone.set(person.phone, person)
  }
  const each = new Set(byLid.values())
  for (const person of byPhone.values()) each.add(person)
  return [...each]
}

/** A person is shown by a pair that is not known, or not any more. */
const isNewPair = (aliases: Aliases, { phone, lid }: Person): boolean => phone !== undefined && lid !== undefined && aliases.get(phone) !== lid

/**
 * Those of a roster whom a reading shows, where it shows nobody else and nothing new of anybody: undefined otherwise. Most readings are like that. The people who
 * are kept are those of the roster, so that of thousands who are read again nothing has to be made anew, and nothing has to grow old.
 */
export function recognised ({ people, aliases }: Roster, shown: readonly Person[]): readonly Person[] | undefined {
  const { phones, lids } = indexOf(people)
  const found = new Set<Person>()
  for (const person of shown) {
    const { phone, lid } = person
    const known = phone === undefined ? lids.get(lid ?? '') : phones.get(phone)
    if (!known || known.phone !== phone || known.lid !== lid || isNewPair(aliases, person)) return undefined
    found.add(known)
  }
  // Whoever is shown twice is not recognised here.
  if (found.size < shown.length) return undefined
  return found.size === people.length ? people : people.filter((person) => found.has(person))
}

/** Who came and who went. A person is the same one as long as the number or the LID is. */
export function difference (before: readonly Person[], now: readonly Person[]): Difference {
  if (before === now) return { joined: [], left: [] }
  const [then, present] = [indexOf(before), indexOf(now)]
  return { joined: now.filter((person) => !holds(then, person)), left: before.filter((person) => !holds(present, person)) }
}

/** Learns the pairs that `people` show. A number belongs to one LID, the newest seen; oldest entries go first above `aliasesMax`. */
export function learned (aliases: Aliases, people: readonly Person[], aliasesMax = 20_000): Aliases {
  const news = people.filter((person) => isNewPair(aliases, person))
  if (news.length === 0) return aliases
  const next = new Map(aliases)
  for (const { phone, lid } of news as Required<Person>[]) {
    next.delete(phone)
    next.set(phone, lid)
  }
  for (const phone of next.keys()) {
    if (next.size <= aliasesMax) break
    next.delete(phone)
  }
  return next
}

/** Without the aliases of those numbers that nobody in the group has, of whom `isMeant`. Who is in the group stays known, because the group shows it. */
export function forgotten (roster: Roster, isMeant: (phone: string) => boolean): Roster {
  const { phones } = indexOf(roster.people)
  const kept = [...roster.aliases].filter(([phone]) => phones.has(phone) || !isMeant(phone))
  return kept.length === roster.aliases.size ? roster : { ...roster, aliases: new Map(kept) }
}

/** Every number by which a person is or was known: whoever changed numbers still holds what was claimed under the old one. */
export function numbersOf (person: Person, aliases: Aliases): string[] {
  const former = person.lid === undefined ? [] : [...aliases].flatMap(([phone, lid]) => lid === person.lid ? [phone] : [])
  return [...new Set([...(person.phone === undefined ? [] : [person.phone]), ...former])]
}

/** Is somebody there whose number nobody knows? Then an unknown number may be theirs. */
export const hasUnnamed = ({ people }: Pick<Roster, 'people'>): boolean => people.some(({ phone }) => phone === undefined)

/**
 * Whether `person` is in this roster. `unknown` where somebody hides the number and `person` is given by number alone: that may be them, even
 * with a LID remembered, because LIDs are sometimes given anew. Whether the roster itself can be relied on is not asked here.
 */
export function membershipOf (roster: Roster, person: Person): Membership {
  const index = indexOf(roster.people)
  const alias = person.phone === undefined ? undefined : roster.aliases.get(person.phone)
  if (holds(index, person) || (alias !== undefined && holds(index, { lid: alias }))) return 'present'
  return person.lid === undefined && hasUnnamed(roster) ? 'unknown' : 'absent'
}
