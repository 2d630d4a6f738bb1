// What scripts/load runs once everything it needs is there.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { env } from 'node:process'
import { parseArgs } from 'node:util'
import { withSystem } from './benches/crowd.ts'
import { checkInvariants, UNPACED } from './benches/spike.ts'

const ROOT = resolve(import.meta.dirname, '..')
/** The double of the panel has as many ports on its two nodes. */
const MEMBERS_MAX = 2_000

const { values, positionals: [kind = '', ...others] } = parseArgs({ allowPositionals: true, options: { members: { type: 'string', default: '50' }, minutes: { type: 'string', default: '30' }, 'per-minute': { type: 'string', default: '10' } } })
const [minutes, perMinute] = [Number(values.minutes), Number(values['per-minute'])]
const members = kind === 'soak' ? minutes * perMinute : Number(values.members)
if (!['spike', 'soak'].includes(kind) || others.length > 0 || ![members, minutes, perMinute].every((number) => Number.isInteger(number) && number > 0) || members > MEMBERS_MAX) {
  console.error(`load: scripts/load spike [--members 50] or scripts/load soak [--minutes 30] [--per-minute 10], with no more than ${MEMBERS_MAX} members`)
  process.exit(64)
}

const directory = mkdtempSync(join(tmpdir(), 'klaim-load-'))
// k6 may begin one visit more than was asked for at the end of a minute; it finds no member left, and does nothing.
const status = await withSystem({ directory, members, env: UNPACED }, async (system) => {
  const k6 = spawn(env['K6'] ?? 'k6', ['run', '--no-usage-report', join(ROOT, 'deploy/load', `${kind}.js`)], {
    stdio: 'inherit',
    env: { PATH: env['PATH'], HOME: env['HOME'], GATEWAY_URL: system.gatewayUrls[0], MEMBERS: String(members), MINUTES: String(minutes), PER_MINUTE: String(perMinute) },
  })
  const [code] = await once(k6, 'exit') as [number | null]
  await checkInvariants(system, Array.from({ length: members }, (_, n) => n + 1))
  console.log(`${members} claims: one server and one account for each, and none besides; each login came once; no dead letter`)
  return code ?? 1
}).catch((error: unknown) => {
  console.error(error, `\nwhat there was of it is in ${directory}`)
  return 1
})
if (status !== 1) rmSync(directory, { recursive: true, force: true })
process.exit(status)
