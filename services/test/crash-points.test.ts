import t from 'tap'
import { runCrashes } from './crash/run.ts'

/** As many points as fit into this time, chosen by the day, so that over weeks all of them are tried. `scripts/crash-points --all` tries all at once. */
const DURATION_MS = 90_000
const seed = process.env['CRASH_SEED'] ?? new Date().toISOString().slice(0, 10)

t.test('every service dies at one await after the other while members claim, leave and return', async (t) => {
  const { wreckage, points, sites, walks, problems } = await runCrashes({ seed, durationMs: DURATION_MS })
  for (const { service, died, missed } of wreckage) t.comment(`${service}: died at ${died.length} points, did not come to ${missed.length}`)
  t.comment(`seed ${seed}: ${sites.passed} awaits, ${points} points; ${walks} walks`)
  t.ok(sites.passed > 300, 'the awaits were found by themselves')
  t.ok(wreckage.every(({ died }) => died.length > 0), 'each service died')
  t.same(problems, [], 'and nobody could tell: one server, one user, each message once, nothing left over')
  t.same(wreckage.flatMap(({ odd }) => odd), [], 'no service ended but where it was told to')
})
