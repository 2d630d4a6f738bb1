// What scripts/chaos runs once everything it needs is there.
import { parseArgs } from 'node:util'
import pLimit from 'p-limit'
import { runChaos, type ChaosRun } from '../services/test/chaos/run.ts'
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
  const run = await runChaos(seed, { isCluster: values.cluster, ...(values.seed === undefined ? {} : { say: (line: string) => { console.log(line) } }) }).catch((error: unknown) => error as Error)
  // Nobody could judge it; the others go on.
  if (run instanceof Error) {
    console.log(`seed ${seed}: was not judged, and is to be run again: ${run.stack ?? run.message}`)
    return null
  }
  console.log(`seed ${seed}: ${run.schedule.faults.length} faults, ${run.accepted} claims accepted, ${run.deletions} deleted, settled after ${(run.settledMs / 1_000).toFixed(1)} s, ${run.problems.length} problems`)
  if (run.problems.length > 0) console.log([...run.problems.map((problem) => `  ${problem}`), `  see ${run.directory}`, ...(values.seed === undefined ? [told(run.schedule)] : [])].join('\n'))
  return run
})))
const judged = runs.filter((run) => run !== null)
const failed = judged.filter(({ problems }) => problems.length > 0)
const sum = (of: (run: ChaosRun) => number): number => judged.reduce((total, run) => total + of(run), 0)
console.log(`\n${judged.length} seeds, ${sum(({ schedule }) => schedule.faults.length)} faults, ${sum(({ accepted }) => accepted)} claims, ${sum(({ deletions }) => deletions)} deletions; ${failed.length} seeds with problems, ${runs.length - judged.length} not judged`)
process.exitCode = judged.length < runs.length || failed.length > 0 ? 1 : 0
