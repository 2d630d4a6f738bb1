// The gateway held against its own description by a tool that knows nothing else of it: proper and improper requests made from
// /api/openapi.json, sent to the whole system as it runs in production. scripts/lib/setup.sh puts the tool here.
import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSystem } from '../../../deploy/staging/system.ts'

const EXAMPLES_MAX = '50'
const SEED = '20261124'
const UNLIMITED = '1000000'
/** A schema cannot say which numbers exist, nor that a notice has to be signed. */
const CONFIGURATION = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409]
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx"]
`

const system = await startSystem({
  directory: mkdtempSync(join(tmpdir(), 'klaim-schemathesis-')), members: 20,
  env: { gateway: { RATE_LIMIT_IP_PER_MINUTE: UNLIMITED, RATE_LIMIT_JID_PER_MINUTE: UNLIMITED, RATE_LIMIT_STATUS_PER_MINUTE: UNLIMITED }, bot: { LOOKUPS_PER_MINUTE: '1000' } },
})
t.teardown(() => system.close())
const gateway = system.gatewayUrls[0] ?? ''

async function schemathesis (t: Test, configuration: string, ...args: string[]): Promise<string> {
  const directory = t.testdir({ 'schemathesis.toml': configuration })
  const tool = spawn(process.env['SCHEMATHESIS'] ?? 'schemathesis', [
    '--config-file', join(directory, 'schemathesis.toml'), 'run', `${gateway}/api/openapi.json`, '--checks', 'all', '--mode', 'all', '--max-examples', EXAMPLES_MAX, '--seed', SEED,
    '--request-timeout', '10', '--generation-database', 'none', '--no-color', ...args,
  ], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [tool.stdout, tool.stderr]) stream.on('data', (chunk: Buffer) => { said += chunk.toString() })
  const [code] = await once(tool, 'close') as [number]
  t.equal(code, 0, 'no fault of the server, no status, header or body that is not described, no improper request taken')
  if (code !== 0) t.comment(said)
  return said
}

t.test('schemathesis finds nothing', async (t) => {
  const said = await schemathesis(t, CONFIGURATION)
  t.match(said, /Tested: 6\b/, 'in every operation')
  t.match(said, /[1-9]\d{2,} generated/, 'tried in hundreds of ways')
})

t.test('nor about a claim that is there', async (t) => {
  const made = await fetch(`${gateway}/api/claim`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'member9', wa_number_e164: '+6281200000009', template: 'nodejs' }) })
  const { claim_id } = await made.json() as { claim_id: string }
  const said = await schemathesis(t, `${CONFIGURATION}[[operations]]\ninclude-operation-id = "claimStatus"\nparameters = { id = "${claim_id}" }\n`, '--include-operation-id', 'claimStatus', '--phases', 'coverage,fuzzing')
  t.notMatch(said, /Missing test data/, 'which is found')
})
