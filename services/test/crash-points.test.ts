import t from 'tap'
import { sitesOf } from './crash/points.ts'
import { runCrashes } from './crash/run.ts'

/** As many points as fit into this time, always in the same order, so that a failure is one of the change that was made. `scripts/crash-points --all` tries all. */
const DURATION_MS = 190_000
const SEED = process.env['CRASH_SEED'] ?? '1'

t.test('every service dies at one await after the other while members claim, leave and return', async (t) => {
  const { wreckage, sites, walks, returns, problems } = await runCrashes({ seed: SEED, durationMs: DURATION_MS })
  const at = wreckage.map(({ service, points, died }) => ({ service, work: sitesOf(points, 'run').size, killed: sitesOf(died, 'run').size, ends: died.length, points: points.length }))
  for (const { service, work, killed, ends, points } of at) t.comment(`${service}: died at ${killed} of ${work} awaits at work, at ${ends} of ${points} points in all`)
  const sum = (of: (each: typeof at[number]) => number): number => at.reduce((total, each) => total + of(each), 0)
  t.comment(`seed ${SEED}: died at ${sum(({ killed }) => killed)} of ${sum(({ work }) => work)} awaits at work, at ${sum(({ ends }) => ends)} of ${sum(({ points }) => points)} points in all; ${walks} walks, ${returns} with a return in time`)
  t.ok(sites.passed > 300, 'the awaits were found by themselves')
  t.ok(at.every(({ killed }) => killed > 0), 'each service died at its work')
  t.same(problems, [], 'and nobody could tell: one server, one user, each message once, nothing left over')
  t.same(wreckage.flatMap(({ odd }) => odd), [], 'no service ended but where it was told to')
})
