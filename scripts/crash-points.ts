// What scripts/crash-points runs once everything it needs is there.
import { parseArgs } from 'node:util'
import { SERVICES, type Service } from '../deploy/staging/system.ts'
import { nameOf, sitesOf } from '../services/test/crash/points.ts'
import { runCrashes } from '../services/test/crash/run.ts'

const { values } = parseArgs({ options: { all: { type: 'boolean', default: false }, minutes: { type: 'string', default: '4' }, seed: { type: 'string', default: '1' }, service: { type: 'string', multiple: true } } })
const minutes = Number(values.minutes)
const services = (values.service ?? SERVICES) as readonly Service[]
if (!(minutes > 0) || services.some((service) => !SERVICES.includes(service))) {
  console.error(`crash-points: --minutes is a number above 0, --service one of ${SERVICES.join(', ')}`)
  process.exit(64)
}
const { wreckage, sites, walks, returns, problems } = await runCrashes({ seed: values.seed, services, ...(values.all ? {} : { durationMs: minutes * 60_000 }), say: (line) => { console.log(line) } })
console.log(`\nNot passed by an undisturbed way:\n  ${sites.notPassed.join('\n  ')}`)
for (const { service, points, died, missed, odd } of wreckage) {
  console.log(`${service}: died at ${died.length} of ${points.length} points and at ${sitesOf(died, 'run').size} of ${sitesOf(points, 'run').size} awaits at work, never came to ${missed.length}`)
  for (const point of missed) console.log(`  never came to ${nameOf(point)}`)
  for (const words of odd) console.log(`  ${words}`)
}
const sum = (of: (each: typeof wreckage[number]) => number): number => wreckage.reduce((total, each) => total + of(each), 0)
console.log(`\nseed ${values.seed}: ${sites.passed} awaits passed, ${sites.notPassed.length} not; ${sum(({ died }) => died.length)} of ${sum(({ points }) => points.length)} points died at; ${walks} walks, ${returns} with a return in time; ${problems.length} problems`)
for (const problem of problems) console.log(`  ${problem}`)
process.exitCode = problems.length > 0 || wreckage.some(({ odd }) => odd.length > 0) ? 1 : 0
