// What scripts/drill runs once everything it needs is there.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { nameOf, type Drill, type Outcome } from '../services/test/drills/drill.ts'
import { DRILLS } from '../services/test/drills/drills.ts'
import { recorded, rowOf } from '../services/test/drills/page.ts'
import { runDrills } from '../services/test/drills/run.ts'

const PAGE = resolve(import.meta.dirname, '../docs/drills.md')

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean', default: false }, factor: { type: 'string', default: '60' }, record: { type: 'boolean', default: false } } })
const factor = Number(values.factor)
/** By its alert, all drills of it; or by its own name. */
const isMeant = (drill: Drill, name: string): boolean => name === drill.alert || name === nameOf(drill)
const unknown = positionals.filter((name) => !DRILLS.some((drill) => isMeant(drill, name)))
if (unknown.length > 0 || !(factor >= 1)) {
  console.error(unknown.length > 0 ? `drill: there is none of ${unknown.join(', ')}; scripts/drill --list` : 'drill: --factor is a number of at least 1')
  process.exit(64)
}
if (values.list) {
  for (const drill of DRILLS) console.log(`${nameOf(drill)}: ${drill.fault}`)
  process.exit(0)
}

const seconds = (ms: number | null): string => ms === null ? '–' : `${(ms / 1_000).toFixed(1)} s`
function say (outcome: Outcome): void {
  const { name, firedMs, toldMs, chatMs, clearedMs, showed, problems } = outcome
  if (values.record) record(outcome)
  console.log(`${problems.length === 0 ? '✓' : '✗'} ${name}: fired after ${seconds(firedMs)}, told after ${seconds(toldMs)}, in the chat after ${seconds(chatMs)}; over after ${seconds(clearedMs)}. ${showed}`)
  for (const problem of problems) console.log(`  ${problem}`)
}

/** At once: the next one may take long, or end everything. */
function record (outcome: Outcome): void {
  const drill = DRILLS.find((each) => nameOf(each) === outcome.name)
  if (drill) writeFileSync(PAGE, recorded(readFileSync(PAGE, 'utf8'), drill, rowOf(drill, outcome)))
}

const directory = mkdtempSync(join(tmpdir(), 'klaim-drill-'))
const drills = DRILLS.filter((drill) => positionals.length === 0 || positionals.some((name) => isMeant(drill, name)))
const outcomes = await runDrills(drills, { directory, factor, say })
const failed = outcomes.filter(({ problems }) => problems.length > 0)
console.log(`\n${outcomes.length} drills, ${failed.length} with problems${failed.length > 0 ? `; see ${directory}` : ''}`)
process.exit(failed.length > 0 ? 1 : 0)
