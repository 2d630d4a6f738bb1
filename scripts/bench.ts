// What scripts/bench runs once everything it needs is there.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, Figure } from './benches/bench.ts'
import { BENCHES } from './benches/benches.ts'
import { writeReport, type Measured } from './benches/report.ts'
import { summarised, TABLE_HEAD, tableLine } from './benches/statistics.ts'

const USAGE = 'bench: scripts/bench [names] [--list] [--repetitions N] [--write], or --scale 0.1 to try it with a tenth of the work, which is never written'

async function once (bench: Bench): Promise<readonly Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'klaim-bench-'))
  try {
    const figures = await bench.run({ directory, say: (line) => { console.error(`  ${line}`) }, some: (count) => Math.max(1, Math.round(count * scale)) })
    rmSync(directory, { recursive: true, force: true })
    return figures
  } catch (error) {
    console.error(`what there was of it is in ${directory}`)
    throw error
  }
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { list: { type: 'boolean', default: false }, repetitions: { type: 'string', default: '1' }, scale: { type: 'string', default: '1' }, write: { type: 'boolean', default: false } } })
const [repetitions, scale] = [Number(values.repetitions), Number(values.scale)]
const unknown = positionals.filter((name) => !BENCHES.some((bench) => bench.name === name))
if (!Number.isInteger(repetitions) || repetitions < 1 || repetitions > 100 || !(scale > 0 && scale <= 1) || (values.write && scale < 1) || unknown.length > 0) {
  console.error(unknown.length > 0 ? `bench: there is no ${unknown.join(', ')}; scripts/bench --list` : USAGE)
  process.exit(64)
}
if (values.list) {
  for (const { name, summary, isSlow } of BENCHES) console.log(`${name.padEnd(12)} ${summary}${isSlow ? ' (slow: only where it is named)' : ''}`)
  process.exit(0)
}

const chosen = BENCHES.filter(({ name, isSlow }) => positionals.length > 0 ? positionals.includes(name) : !isSlow)
const runs = new Map(chosen.map((bench) => [bench, [] as Array<readonly Figure[]>]))
const loadBefore = loadavg()[0] ?? NaN
const began = performance.now()
const measured = (): Measured[] => [...runs].filter(([, figures]) => figures.length > 0).map(([{ name }, figures]) => ({
  name, at: new Date().toISOString(), node: process.version, processors: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`, loadBefore: Number(loadBefore.toFixed(2)), rows: summarised(figures),
}))
// In turn, so that a slow minute of the machine meets all of them.
for (let repetition = 1; repetition <= repetitions; repetition++) {
  for (const [bench, figures] of runs) {
    const from = performance.now()
    try {
      figures.push(await once(bench))
      console.error(`${bench.name} ${repetition}/${repetitions}: ${((performance.now() - from) / 1_000).toFixed(0)} s`)
    } catch (error) {
      console.error(`${bench.name} ${repetition}/${repetitions} measured nothing:`, error)
      process.exitCode = 1
    }
  }
  // All rows take hours: what there is by now outlasts an end that comes too early.
  if (values.write) writeReport(measured(), BENCHES.map(({ name }) => name))
}

console.log([TABLE_HEAD, ...measured().flatMap(({ rows }) => rows.map(tableLine))].join('\n'))
console.log(`\n${repetitions === 1 ? 'measured once' : `medians and ranges of ${repetitions} repetitions`}, load of the machine before ${loadBefore.toFixed(2)}, ${((performance.now() - began) / 60_000).toFixed(1)} minutes`)
process.exit()
