import t from 'tap'
import { nameOf, outdated } from '../retention.ts'

const HOUR_MS = 3_600_000
const now = new Date('2026-03-31T12:30:00Z')
const hoursAgo = (hours: number): string => nameOf(new Date(now.getTime() - hours * HOUR_MS))

t.test('of a backup every six hours stay all of two days, one a day of thirty, and nothing older', async (t) => {
  const names = Array.from({ length: 200 }, (_, n) => hoursAgo(n * 6))
  const gone = new Set(outdated(names, now))
  const kept = names.filter((name) => !gone.has(name))
  t.same(kept.slice(0, 8), names.slice(0, 8), 'all of 48 hours')
  const days = kept.slice(8).map((name) => name.slice(6, 16))
  t.equal(new Set(days).size, days.length, 'then one of a day')
  t.same(kept.at(-1), 'klaim-2026-03-01T183000Z.tar.gz', 'the last of the day, thirty days back')
  t.equal(outdated(kept, now).length, 0, 'what stays, stays')
})

t.test('the newest that was verified stays, however old, and what failed never takes its place', async (t) => {
  const failed = `${hoursAgo(1)}.failed`
  t.same(outdated([hoursAgo(5_000), hoursAgo(4_000), failed, `${hoursAgo(49)}.failed`], now).toSorted(), [hoursAgo(5_000), `${hoursAgo(49)}.failed`].toSorted())
})

t.test('other files are not touched', async (t) => {
  t.same(outdated(['klaim.tar.gz', 'notes.txt', '.work', `${hoursAgo(5_000)}.sha256`, hoursAgo(0)], now), [])
})
