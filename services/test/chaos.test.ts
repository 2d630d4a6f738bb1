import t from 'tap'
import pLimit from 'p-limit'
import { runChaos } from './chaos/run.ts'
import { randomFrom, scheduleOf, told } from './chaos/schedule.ts'

// Seeds that are always the same, so that a failure is one of the change that was made. scripts/chaos runs as many as one likes.
const ON_ONE_NODE = 16
const ON_THREE_NODES = 4
const AT_ONCE = 3
const RUNS = [...Array.from({ length: ON_THREE_NODES }, (_, n) => ({ seed: String(n + 1), isCluster: true })), ...Array.from({ length: ON_ONE_NODE }, (_, n) => ({ seed: String(n + 1), isCluster: false }))]

t.test('a seed decides everything', async (t) => {
  t.equal(told(scheduleOf('7')), told(scheduleOf('7')), 'the same one the same')
  t.not(told(scheduleOf('7')), told(scheduleOf('8')))
  const drawn = Array.from({ length: 1_000 }, randomFrom('7'))
  t.ok(drawn.every((number) => number >= 0 && number < 1) && new Set(drawn).size > 990, 'as evenly as is needed')
  const faults = new Set(Array.from({ length: 200 }, (_, n) => scheduleOf(String(n))).flatMap((schedule) => schedule.faults.map((fault) => 'knobs' in fault ? `${fault.kind} ${Object.keys(fault.knobs).join()}` : fault.kind)))
  t.ok(faults.size >= 22, `of ${faults.size} kinds of fault every one comes in time`)
})

const limit = pLimit(AT_ONCE)
await Promise.all(RUNS.map(async ({ seed, isCluster }) => await limit(async () => {
  const { schedule, problems, accepted, settledMs, directory } = await runChaos(seed, { isCluster })
  const name = `seed ${seed}${isCluster ? ' on three nodes of NATS that lose their leader' : ''}`
  t.comment(`${name}: ${schedule.faults.length} faults, ${accepted} claims, settled after ${settledMs} ms`)
  if (!t.same(problems, [], `${name}: nothing is lost, doubled, or deleted that should not be`)) t.comment(`${told(schedule)}\n${directory}`)
})))
