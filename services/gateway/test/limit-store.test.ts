import t from 'tap'
import fc from 'fast-check'
import { transient } from '../../common/fault.ts'
import type { Counters } from '../../common/counters.ts'
import { createLimitStore, REMEMBERED_MAX, windowAt, type LimitStoreOptions } from '../limit-store.ts'

const MINUTE_MS = 60_000
const away: Counters = { isReachable: () => false, add: async () => { throw transient('NATS_UNAVAILABLE', 'away') } }

function storeOf (options: Partial<LimitStoreOptions> = {}) {
  const Store = createLimitStore({ counters: away, key: Buffer.alloc(32), now: () => new Date(0), onCounted: () => {}, ...options })
  const store = new Store({ groupId: 'attempts' } as object)
  return async (name: string): Promise<{ current: number, ttl: number }> => await new Promise((resolve, reject) => {
    store.incr(name, (error, result) => { if (error) reject(error); else resolve(result ?? { current: NaN, ttl: NaN }) }, MINUTE_MS, 1)
  })
}

t.test('a window', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: 1, max: 600_000 }), fc.integer({ min: 0, max: 599_999 }), (nowMs, windowMs, offset) => {
    const { number, leftMs } = windowAt(nowMs, windowMs, offset % windowMs)
    return leftMs > 0 && leftMs <= windowMs && windowAt(nowMs + leftMs - 1, windowMs, offset % windowMs).number === number && windowAt(nowMs + leftMs, windowMs, offset % windowMs).number === number + 1
  }))
  t.pass('ends when it says, and the next begins then')
  const count = storeOf()
  const ends = new Set<number>()
  for (let index = 0; index < 50; index++) ends.add((await count(`name ${index}`)).ttl)
  t.ok(ends.size > 40, 'does not turn for everybody at once')
})

t.test('a count', async (t) => {
  let clock = 0
  const count = storeOf({ now: () => new Date(clock) })
  t.equal((await count('a')).current, 1)
  const { current, ttl } = await count('a')
  t.equal(current, 2)
  clock += ttl - 1
  t.equal((await count('a')).current, 3)
  clock += 1
  t.equal((await count('a')).current, 1, 'begins anew with the window')
})

t.test('many at once are each counted once', async (t) => {
  const count = storeOf()
  const seen = await Promise.all(Array.from({ length: 20 }, async () => (await count('a')).current))
  t.same(seen, Array.from({ length: 20 }, (_, index) => index + 1))
})

t.test('memory is bounded', async (t) => {
  const count = storeOf()
  for (let index = 0; index <= REMEMBERED_MAX; index++) await count(`name ${index}`)
  t.equal((await count(`name ${REMEMBERED_MAX}`)).current, 2, 'who was counted lately is remembered')
  t.equal((await count('name 0')).current, 1, 'and who was counted longest ago is forgotten')
})
