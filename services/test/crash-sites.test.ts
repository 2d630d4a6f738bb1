import t from 'tap'
import { instrument, PROBE, type Probe } from './crash/sites.ts'
import { nameOf, pointsOf, shuffled, sitesOf } from './crash/points.ts'

/** Runs a module with a probe that writes down what it is told; `numbers` holds what the code itself says. */
async function seen (source: string): Promise<{ passed: string[], numbers: unknown[], sites: readonly string[] }> {
  const passed: string[] = []
  const numbers: unknown[] = []
  const { code, sites } = instrument(source, 'file.ts')
  const nth = (site: string): number => sites.indexOf(site)
  const probe: Probe = {
    reached: (site) => { passed.push(`to ${nth(site)}`); return site },
    settled: (site) => { passed.push(`past ${nth(site)}`) },
    settling: async (site, value) => { try { return await value } finally { passed.push(`past ${nth(site)}`) } },
  }
  Object.assign(globalThis, { [PROBE]: probe, numbers })
  await import(`data:text/javascript,${encodeURIComponent(code)}`)
  return { passed, numbers, sites }
}

t.test('each await is seen before it begins and when it has ended', async (t) => {
  const { passed, sites } = await seen('const a = numbers\nawait a.push(await 1)\n')
  t.same(sites, ['file.ts:2:1', 'file.ts:2:14'], 'by its place in the file')
  t.same(passed, ['to 0', 'to 1', 'past 1', 'past 0'])
})

t.test('one that ends badly has ended, too', async (t) => {
  const { passed } = await seen("try { await Promise.reject(new Error('no')) } catch { numbers.push(1) }")
  t.same(passed, ['to 0', 'past 0'])
})

t.test('a loop over promises is seen in each round, with braces or without', async (t) => {
  const { passed, numbers } = await seen('for await (const n of [1, 2]) numbers.push(n)\nfor await (const n of [3]) { numbers.push(await n) }')
  t.same(numbers, [1, 2, 3], 'and does what it did')
  t.same(passed, ['to 0', 'past 0', 'to 0', 'past 0', 'to 1', 'past 1', 'to 2', 'past 2'])
})

t.test('what an undisturbed process passes are the points, and its work is what it passes when it is ready', async (t) => {
  const ready = { a: { run: 2, stop: 0 }, b: { run: 1, stop: 0 } }
  const points = pointsOf(ready, { a: { run: 2, stop: 0 }, b: { run: 4, stop: 0 }, c: { run: 1, stop: 4 }, d: { run: 0, stop: 0 } })
  t.same(points.map(nameOf).filter((name) => / after /.test(name)), ['start after a 1', 'start after b 1', 'run after b 2', 'run after b 4', 'run after c 1', 'stop after c 1'])
  t.same(points.map(nameOf).filter((name) => / before /.test(name)), points.map(nameOf).filter((name) => / after /.test(name)).map((name) => name.replace('after', 'before')), 'each before and after')
  t.same(points.filter(({ site, stage }) => site === 'b' && stage === 'run').map((point) => [nameOf(point), point.round]), [['run after b 2', 0], ['run before b 2', 1], ['run after b 4', 2], ['run before b 4', 3]])
  t.same([...sitesOf(points, 'run')], ['b', 'c'])
})

t.test('each await comes once before any comes again', async (t) => {
  const points = pointsOf({}, Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map((site) => [site, { run: 3, stop: 0 }])))
  const order = shuffled(points, 'seed')
  t.same(order, shuffled(points.toReversed(), 'seed'), 'in an order that the seed alone decides')
  t.not(JSON.stringify(order), JSON.stringify(shuffled(points, 'another')))
  t.equal(sitesOf(order.slice(0, 5), 'run').size, 5)
  t.ok(order.slice(0, 5).every(({ moment, count }) => moment === 'after' && count === 1), 'first when it has just ended')
  t.equal(sitesOf(order.slice(5, 10), 'run').size, 5)
})
