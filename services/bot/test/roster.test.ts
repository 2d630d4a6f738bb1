import t from 'tap'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { difference, forgotten, identified, learned, membershipOf, numbersOf, recognised, type Person } from '../roster.ts'
import { isReliable, judge, membershipIn, NOTHING_BELIEVED, removedFromGroup, shrinkMax, withAlias, type Belief } from '../belief.ts'
import { packed, unpacked } from '../roster-record.ts'

const policy = { confirmReads: 3, confirmMs: 1_000 }
const phone = (n: number): string => `62812${String(n).padStart(7, '0')}`
const lid = (n: number): string => `9000000${String(n).padStart(8, '0')}`
const both = (n: number): Person => ({ phone: phone(n), lid: lid(n) })
const people = (count: number, from = 1): Person[] => Array.from({ length: count }, (_, n) => both(n + from))
const reading = (shown: readonly Person[], readAt = 0, includesUs = true) => ({ readAt, includesUs, people: shown })
const believing = (shown: readonly Person[]): Belief => judge(NOTHING_BELIEVED, reading(shown), policy).belief

t.test('numbers that are forgotten', async (t) => {
  const roster = { people: [both(1), { lid: lid(4) }], aliases: new Map([1, 2, 3].map((n) => [phone(n), lid(n)])) }
  t.same([...forgotten(roster, () => true).aliases.keys()], [phone(1)], 'are never those of people in the group')
  t.same([...forgotten(roster, (number) => number === phone(2)).aliases.keys()], [phone(1), phone(3)], 'nor of people who are not meant')
  t.equal(forgotten(roster, (number) => number === phone(1)), roster, 'where there is nothing to forget, nothing changes')
})

t.test('the difference of two rosters', async (t) => {
  const rows: Array<[string, Person[], Person[], { joined: Person[], left: Person[] }]> = [
    ['nothing changed', people(3), people(3), { joined: [], left: [] }],
    ['one came', people(2), people(3), { joined: [both(3)], left: [] }],
    ['one went', people(3), people(2), { joined: [], left: [both(3)] }],
    ['numbers are hidden now', people(2), [{ lid: lid(1) }, { lid: lid(2) }], { joined: [], left: [] }],
    ['the group shows numbers only', people(2), [{ phone: phone(1) }, { phone: phone(2) }], { joined: [], left: [] }],
    ['somebody has a new number', [both(1)], [{ phone: phone(9), lid: lid(1) }], { joined: [], left: [] }],
    ['somebody has a new LID', [both(1)], [{ phone: phone(1), lid: lid(9) }], { joined: [], left: [] }],
  ]
  for (const [name, before, now, expected] of rows) t.same(difference(before, now), expected, name)
})

t.test('aliases', async (t) => {
  const aliases = learned(new Map(), people(2))
  t.same(identified([{ lid: lid(1) }, { phone: phone(2) }, { lid: lid(3) }], aliases), [both(1), both(2), { lid: lid(3) }], 'name whom they know, and guess nobody')
  const moved = learned(aliases, [{ phone: phone(7), lid: lid(1) }])
  t.same(numbersOf({ lid: lid(1) }, moved), [phone(1), phone(7)], 'keep a number that was given up')
  t.same(learned(moved, [{ phone: phone(1), lid: lid(8) }]).get(phone(1)), lid(8), 'unless somebody else has it now')
  t.equal(learned(new Map(), people(30), 10).size, 10, 'are bounded')
  t.equal(learned(aliases, people(2)), aliases, 'are the same object when nothing is new')
})

t.test('membership of one person', async (t) => {
  const roster = { people: [...people(2), { lid: lid(5) }], aliases: learned(new Map(), people(2)) }
  t.equal(membershipOf(roster, { phone: phone(1) }), 'present')
  t.equal(membershipOf(roster, { lid: lid(5) }), 'present')
  t.equal(membershipOf(roster, { phone: phone(5) }), 'unknown', 'a hidden member may be this number')
  t.equal(membershipOf(roster, { phone: phone(6), lid: lid(6) }), 'absent', 'a LID that is not there settles it')
  t.equal(membershipOf({ ...roster, people: [both(2), { lid: lid(5) }] }, { phone: phone(1) }), 'unknown', 'even a number whose LID is remembered: LIDs are given anew at times')
  t.equal(membershipOf({ ...roster, people: people(2) }, { phone: phone(5) }), 'absent', 'nobody hides')
  const changed = { people: [{ phone: phone(9), lid: lid(1) }], aliases: learned(roster.aliases, [{ phone: phone(9), lid: lid(1) }]) }
  t.equal(membershipOf(changed, { phone: phone(1) }), 'present', 'whoever changed numbers is still there under the old one')
})

t.test('a reading', async (t) => {
  t.same(judge(NOTHING_BELIEVED, reading(people(4)), policy).verdict, 'first', 'the first ever is stored and not announced')
  const believed = believing(people(30))
  t.match(judge(believed, reading(people(30)), policy), { verdict: 'same', joined: [], left: [] })
  t.match(judge(believed, reading(people(28), 5), policy), { verdict: 'changed', left: [both(29), both(30)] })
  t.equal(judge(believed, reading([]), policy).verdict, 'blind', 'an empty list is not believed')
  t.equal(judge(believed, reading(people(30), 1, false), policy).verdict, 'blind', 'nor one without the bot')
  t.same(membershipIn(judge(believed, reading([]), policy).belief, { phone: phone(1) }, 0, 1_000), 'unknown')
  t.same(membershipIn(removedFromGroup(believed), { phone: phone(1) }, 0, 1_000), 'unknown', 'a bot that was removed knows nothing')
  t.equal(membershipIn(believed, { phone: phone(1) }, 1_000, 1_000), 'present')
  t.equal(membershipIn(believed, { phone: phone(1) }, 1_001, 1_000), 'unknown', 'an old roster says nothing')
  t.equal(isReliable(believed, 1_001, 1_000), false)
  t.equal(shrinkMax(30), 5)
  t.equal(shrinkMax(200), 20)
})

t.test('a sudden shrink', async (t) => {
  const believed = believing(people(30))
  const first = judge(believed, reading(people(20), 0), policy)
  t.match(first, { verdict: 'suspect', joined: [], left: [] }, 'is suspect')
  t.equal(membershipIn(first.belief, { phone: phone(1) }, 0, 1_000), 'present', 'whom it still shows is present')
  t.equal(membershipIn(first.belief, { phone: phone(25) }, 0, 1_000), 'unknown', 'whom it misses is unknown')
  t.equal(membershipIn(first.belief, { phone: phone(99) }, 0, 1_000), 'unknown')
  const second = judge(first.belief, reading(people(20), 600), policy)
  t.equal(second.verdict, 'suspect')
  t.equal(judge(second.belief, reading(people(20), 999), policy).verdict, 'suspect', 'often enough, but not long enough')
  const third = judge(second.belief, reading(people(20), 1_000), policy)
  t.equal(third.verdict, 'changed', 'is believed once it was read often enough and long enough')
  t.equal(third.left.length, 10)
  t.match(judge(second.belief, reading(people(30), 700), policy), { verdict: 'same', belief: { suspicion: null } }, 'is forgotten when everybody is back')
  t.match(judge(second.belief, reading(people(2), 1_000), policy), { verdict: 'suspect', belief: { suspicion: { reads: 1, since: 1_000 } } }, 'starts anew when it is another one')
  t.equal(judge(judge(first.belief, reading([], 5), policy).belief, reading(people(20), 2_000), policy).verdict, 'suspect', 'an unreadable list in between counts for nothing')
})

const anyone = fc.record({ n: fc.integer({ min: 1, max: 60 }), shown: fc.constantFrom('both', 'lid', 'phone') })
const anyReading = fc.uniqueArray(anyone, { selector: ({ n }) => n, maxLength: 60 })
const shownAs = ({ n, shown }: { n: number, shown: string }): Person => shown === 'both' ? both(n) : shown === 'lid' ? { lid: lid(n) } : { phone: phone(n) }

t.test('whatever is read, in whatever form', async (t) => {
  fc.assert(fc.property(fc.array(anyReading, { minLength: 1, maxLength: 12 }), fc.boolean(), (readings, known) => {
    // Everybody was seen in full once, or nobody was.
    let belief = believing(known ? people(60) : [])
    if (!known) belief = NOTHING_BELIEVED
    const present = new Set(known ? people(60).map(({ lid }) => lid) : [])
    let now = 0
    let suspected = 0
    for (const shown of readings) {
      now += 400
      const before = belief.roster
      const judged = judge(belief, reading(shown.map(shownAs), now), policy)
      belief = judged.belief
      if (judged.left.length > shrinkMax(before?.people.length ?? 0) && suspected < policy.confirmReads - 1) throw new Error('believed a sudden shrink at once')
      suspected = judged.verdict === 'suspect' ? suspected + 1 : 0
      if (judged.verdict === 'suspect' || judged.verdict === 'blind' || judged.verdict === 'first') {
        if (judged.joined.length + judged.left.length > 0) throw new Error('announced what is not believed')
        if (judged.verdict !== 'first') continue
      }
      if (!before || !known) continue
      for (const { lid } of judged.left) if (!present.delete(lid)) throw new Error('somebody left who was not there')
      for (const { lid } of judged.joined) {
        if (present.has(lid)) throw new Error('somebody joined who was there')
        present.add(lid)
      }
      const expected = new Set(shown.map(({ n }) => lid(n)))
      if (expected.size !== present.size || [...expected].some((lid) => !present.has(lid))) throw new Error('the announcements do not lead from the old roster to the new')
    }
  }), { numRuns: 300 })
  t.pass('announcements lead from one believed roster to the next, and nothing suspect is announced')
})

t.test('who is recognised', async (t) => {
  const { roster } = believing(people(30))
  if (!roster) return t.fail()
  t.equal(recognised(roster, people(30).toReversed()), roster.people, 'nothing is made anew where nothing is new')
  t.equal(recognised(roster, people(28))?.[27], roster.people[27], 'nor of those who stay where somebody went')
  t.equal(recognised(roster, people(31)), undefined)
  t.equal(recognised(roster, [...people(29), both(29)]), undefined, 'one who is shown twice is not two')
  t.equal(recognised(roster, [{ phone: phone(1) }]), undefined, 'who is shown by less may be somebody else')
  const other = withAlias(believing(people(30)), { phone: phone(1), lid: lid(99) }).roster
  t.equal(other && recognised(other, people(30)), undefined, 'a pair that is shown again is learned again')

  const shown = fc.array(anyone, { maxLength: 12 }).map((each) => each.map(shownAs))
  const everybody = (list: readonly Person[]): string[] => list.map(({ phone, lid }) => `${phone} ${lid}`).toSorted()
  let often = 0
  fc.assert(fc.property(shown, shown, fc.boolean(), (first, second, isSame) => {
    const before = believing([...people(2), ...first]).roster
    const now = isSame ? before?.people.slice(1) ?? [] : second
    const found = before && recognised(before, now)
    if (!before || !found) return
    often++
    const aliases = learned(before.aliases, now)
    if (aliases !== before.aliases) throw new Error('a pair that is new was not learned')
    t.same(everybody(found), everybody(identified(now, aliases)))
  }), { numRuns: 500 })
  t.ok(often > 100, `as by the long way, ${often} times of 500`)
})

t.test('a stored roster', async (t) => {
  // Digits as random as real ones, or they would be packed too well.
  const digits = (seed: string, length: number): string => BigInt(`0x${createHash('sha256').update(seed).digest('hex')}`).toString().slice(0, length)
  const many = Array.from({ length: 5_000 }, (_, n) => ({ phone: `62${digits(`phone ${n}`, 11)}`, lid: digits(`lid ${n}`, 15) }))
  const record = { groupId: '120363000000000001@g.us', revision: 7, roster: { people: [...many, { lid: lid(6_001) }], aliases: learned(learned(new Map(), many), [{ phone: phone(7_000), lid: many[0]?.lid ?? '' }]) }, pending: [{ kind: 'left' as const, phone: phone(9), revision: 7, at: '2026-01-01T00:00:00.000Z' }] }
  const bytes = packed(record)
  t.ok(bytes.length < 150 * 1024, `of 5,000 members takes ${bytes.length} bytes`)
  const worst = packed({ groupId: '120363000000000001@g.us', revision: 8, roster: { people: [], aliases: new Map(Array.from({ length: 20_000 }, (_, n) => [`62${digits(`p ${n}`, 11)}`, digits(`l ${n}`, 15)])) }, pending: many.map(({ phone }) => ({ kind: 'left' as const, phone, revision: 8, at: '2026-01-01T00:00:00.000Z' })) })
  t.ok(worst.length < 900 * 1024, `with everybody gone at once and every alias kept, ${worst.length} bytes`)
  const again = unpacked(bytes)
  t.same(again.roster.people, record.roster.people)
  t.ok([...record.roster.aliases].every(([phone, lid]) => again.roster.aliases.get(phone) === lid))
  t.equal(again.roster.aliases.size, record.roster.aliases.size)
  t.same([again.groupId, again.revision, again.pending], [record.groupId, 7, record.pending])
  t.throws(() => unpacked(Buffer.from('nonsense')), { code: 'ROSTER_CORRUPT' })
  const hidden = withAlias(believing([{ lid: lid(3) }]), { phone: phone(3), lid: lid(3) })
  t.equal(membershipIn(hidden, { phone: phone(3) }, 0, 10), 'present', 'a pair learnt from a message names a hidden member')
})
