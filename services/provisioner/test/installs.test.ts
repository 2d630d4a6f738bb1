import t from 'tap'
import { createInstalls, lookEveryMs } from '../installs.ts'

const EVERY_MS = 900

/** A panel on which every install is done, and what it was asked, with the time. */
function world (everyMs = EVERY_MS) {
  const asked: Array<{ uuids: readonly string[], at: number }> = []
  const installs = createInstalls({
    read: async (uuids) => {
      asked.push({ uuids, at: performance.now() })
      return new Map(uuids.map((uuid) => [uuid, null]))
    },
    everyMs: () => everyMs, patienceMs: 1_000, now: Date.now, signal: new AbortController().signal,
  })
  const come = (...names: string[]): Array<Promise<string>> => names.map(async (name) => await installs.wait(name, Infinity, new AbortController().signal))
  return { asked, come, installs }
}

t.test('a few are asked about together, when it is time', async (t) => {
  const { asked, come, installs } = world()
  const began = performance.now()
  const all = come('a', 'b', 'c', 'd')
  t.equal(installs.pending(), 4)
  t.same(await Promise.all(all), Array.from({ length: 4 }, () => 'installed'))
  t.same(asked.map(({ uuids }) => uuids), [['a', 'b', 'c', 'd']])
  t.ok((asked[0]?.at ?? 0) - began >= EVERY_MS - 5, 'not before')
})

t.test('the fifth ends the waiting of all, but the panel is left alone for a while', async (t) => {
  const { asked, come } = world(60_000)
  await Promise.all(come('a', 'b', 'c', 'd', 'e'))
  const quicker = world()
  await Promise.all(quicker.come('a', 'b', 'c', 'd', 'e'))
  await Promise.all(quicker.come('g', 'h', 'i', 'j', 'k', 'l', 'm'))
  t.same([asked, quicker.asked].map((each) => each.map(({ uuids }) => uuids.join(''))), [['abcde'], ['abcde', 'ghijklm']])
  const [first, second] = quicker.asked.map(({ at }) => at) as [number, number]
  t.ok(second - first >= EVERY_MS / 6 - 5, `${second - first} ms between two looks`)
})

t.test('a panel that takes more is asked oftener', (t) => {
  const every = (limit: number | null, atMostMs = 3_000): number => Math.round(lookEveryMs(atMostMs, limit, 60_000))
  t.same([null, 60, 240, 256, 480, 1_440, 2_880, 100_000, Number.MAX_SAFE_INTEGER].map((limit) => every(limit)), [3_000, 3_000, 3_000, 2_813, 1_500, 500, 250, 250, 250])
  t.equal(every(240, 60), 60, 'and as often as is wished')
  t.end()
})

t.test('how often is asked anew for each look', async (t) => {
  const times: number[] = []
  const waits = [100, 400]
  const installs = createInstalls({
    read: async (uuids) => {
      times.push(performance.now())
      return new Map(uuids.map((uuid) => [uuid, times.length < 2 ? 'installing' : null]))
    },
    everyMs: () => waits.shift() ?? 0, patienceMs: 1_000, now: Date.now, signal: new AbortController().signal,
  })
  const began = performance.now()
  await installs.wait('a', Infinity, new AbortController().signal)
  const [first, second] = times as [number, number]
  t.ok(first - began >= 95 && second - first >= 395, `after ${first - began} ms, and after ${second - first} more`)
})

t.test('who is there still when others have come and gone is no newcomer', async (t) => {
  const asked: string[] = []
  const installs = createInstalls({
    read: async (uuids) => {
      asked.push(uuids.join(''))
      return new Map(uuids.map((uuid) => [uuid, uuid === 'z' && asked.length < 3 ? 'installing' : null]))
    },
    everyMs: () => 300, patienceMs: 1_000, now: Date.now, signal: new AbortController().signal,
  })
  await Promise.all(['z', 'a', 'b', 'c', 'd'].map(async (name) => await installs.wait(name, Infinity, new AbortController().signal)))
  t.same(asked, ['zabcd', 'z', 'z'])
})
