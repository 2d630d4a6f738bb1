// What scripts/chaos runs once everything it needs is there.
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import { runChaos } from '../services/test/chaos/run.ts'
import { told } from '../services/test/chaos/schedule.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '1' }, first: { type: 'string', default: '1' }, seed: { type: 'string' }, 'at-once': { type: 'string', default: '1' }, cluster: { type: 'boolean', default: false } } })
const [count, first, atOnce] = [Number(values.seeds), Number(values.first), Number(values['at-once'])]
if (![count, first, atOnce].every((number) => Number.isInteger(number) && number > 0)) {
  console.error('chaos: --seeds, --first and --at-once are whole numbers above 0')
  process.exit(64)
}
const seeds = values.seed === undefined ? Array.from({ length: count }, (_, n) => String(first + n)) : [values.seed]
const limit = pLimit(atOnce)
const runs = await Promise.all(seeds.map(async (seed) => await limit(async () => {
  const run = await runChaos(seed, { isCluster: values.cluster, ...(values.seed === undefined ? {} : { say: (line: string) => { console.log(line) } }) })
  console.log(`seed ${seed}: ${run.schedule.faults.length} faults, ${run.accepted} claims accepted, ${run.deletions} deleted, settled after ${(run.settledMs / 1_000).toFixed(1)} s, ${run.problems.length} problems`)
  if (run.problems.length > 0) console.log([...run.problems.map((problem) => `  ${problem}`), `  see ${run.directory}`, ...(values.seed === undefined ? [told(run.schedule)] : [])].join('\n'))
  return run
})))
const failed = runs.filter(({ problems }) => problems.length > 0)
console.log(`\n${runs.length} seeds, ${runs.reduce((sum, { schedule }) => sum + schedule.faults.length, 0)} faults, ${runs.reduce((sum, { accepted }) => sum + accepted, 0)} claims; ${failed.length} seeds with problems`)
process.exitCode = failed.length > 0 ? 1 : 0
