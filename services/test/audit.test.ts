import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { Value } from 'typebox/value'
import { Exceptions, judge, type Report } from '../../scripts/audit.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const TODAY = '2026-06-01'

const advisory = { name: 'ws', title: 'a flood of headers', url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc', severity: 'high', range: '<9.0.0' } as const
const reported = (...via: Array<{ url?: string, severity?: 'low' | 'moderate' } | string>): Report => ({
  auditReportVersion: 2, vulnerabilities: { ws: { via: via.map((each) => typeof each === 'string' ? each : { ...advisory, ...each }) }, baileys: { via: ['ws'] } },
})
const exception = { advisory: 'GHSA-aaaa-bbbb-cccc', package: 'ws', reason: 'Klaim opens connections to WhatsApp only, and takes none', until: '2026-06-02' }

t.test('what is known', async (t) => {
  const judged = (report: Report, exceptions: Exceptions = []) => judge(report, exceptions, TODAY).map(({ isFine }) => isFine)
  t.same(judged({ auditReportVersion: 2, vulnerabilities: {} }), [])
  t.same(judged(reported({})), [false], 'counts, once for all that it touches')
  t.same(judged(reported({ severity: 'moderate' }, { severity: 'low' })), [false, true], 'from moderate up')
  t.same(judged(reported({}), [exception]), [true], 'and not where it was found not to touch Klaim')
  t.same(judged(reported({}), [{ ...exception, until: TODAY }]), [false], 'until the day on which it is looked at again')
  t.same(judged(reported({}), [{ ...exception, package: 'undici' }]), [false, false], 'an exception is for one package')
  t.same(judged(reported({ url: 'https://github.com/advisories/GHSA-dddd-eeee-ffff' }), [exception]), [false, false], 'and for one advisory')
  t.same(judged(reported(), [exception]), [false], 'and goes when it is not needed any more')
})

t.test('the exceptions are argued', async (t) => {
  t.ok(Value.Check(Exceptions, JSON.parse(readFileSync(join(ROOT, 'scripts/audit-exceptions.json'), 'utf8'))))
  t.notOk(Value.Check(Exceptions, [{ ...exception, reason: '' }]))
  t.notOk(Value.Check(Exceptions, [{ ...exception, until: 'never' }]))
})

/** Runs scripts/audit.ts with npm itself against a registry of our own. */
async function audited (t: Test, answer: (asked: Record<string, string[]>) => object | number): Promise<{ exitCode: number, output: string }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const said = request.method === 'POST' ? answer(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString()) as Record<string, string[]>) : 404
      if (typeof said === 'number') response.writeHead(said).end('{}')
      else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => { server.closeAllConnections(); server.close() })
  const child = spawn(process.execPath, ['scripts/audit.ts'], {
    cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: t.testdir({}), npm_config_registry: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, npm_config_fetch_retries: '0' },
  })
  const [[exitCode], ...output] = await Promise.all([once(child, 'close') as Promise<[number]>, text(child.stdout), text(child.stderr)])
  return { exitCode, output: output.join('') }
}

t.test('scripts/audit', async (t) => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean, optional?: boolean }> }
  const shipped = Object.entries(packages).filter(([path, { dev, optional }]) => path !== '' && dev !== true && optional !== true).map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
  let asked: Record<string, string[]> = {}
  t.match(await audited(t, (question) => { asked = question; return {} }), { exitCode: 0, output: /^Nothing is known/ })
  t.same(shipped.filter((name) => asked[name] === undefined), [], 'asks about every production package')
  t.match(await audited(t, () => ({ pino: [{ id: 1, title: 'a canned weakness', url: advisory.url, severity: 'critical', vulnerable_versions: '<99.0.0' }] })), { exitCode: 1, output: /^✗ pino <99\.0\.0: a canned weakness \(critical, .*GHSA-aaaa-bbbb-cccc\)\nUpdate/ })
  t.match(await audited(t, () => 405), { exitCode: 75, output: /did not say what it knows: 405.*\nNothing was looked at/ }, 'a registry that does not answer is no good news')
})
