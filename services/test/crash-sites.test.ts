import t from 'tap'
import { instrument, PROBE } from './crash/sites.ts'
import { nameOf, pointsOf, shuffled } from './crash/points.ts'

/** Runs a module with a probe that writes down what it is told; `numbers` holds what the code itself says. */
async function seen (source: string): Promise<{ passed: string[], numbers: unknown[], sites: readonly string[] }> {
  const passed: string[] = []
  const numbers: unknown[] = []
  const { code, sites } = instrument(source, 'file.ts', 0)
  const probe = {
    reached: (site: number) => { passed.push(`to ${site}`); return site },
    settled: (site: number) => { passed.push(`past ${site}`) },
    settling: async (site: number, value: unknown) => { try { return await value } finally { passed.push(`past ${site}`) } },
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

t.test('what an undisturbed process passes are the points', async (t) => {
  const points = pointsOf({ sites: [{ site: 'a', run: 3, stop: 0 }, { site: 'b', run: 0, stop: 4 }, { site: 'c', run: 0, stop: 0 }] })
  t.same(points.map(nameOf), ['run before a 1', 'run before a 3', 'run after a 1', 'run after a 3', 'stop before b 1', 'stop after b 1'])
  t.same(shuffled(points, 'seed'), shuffled(points.toReversed(), 'seed'), 'in an order that the seed alone decides')
  t.not(JSON.stringify(shuffled(points, 'seed')), JSON.stringify(shuffled(points, 'another')))
  t.same(shuffled(points, 'seed').slice(0, 4).map(({ count }) => count), [1, 1, 1, 1], 'first passes first')
})
