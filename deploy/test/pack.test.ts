// Services run with packed packages as with the packages themselves.
import t from 'tap'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { journey, startJourneySystem } from '../../services/test/journey.ts'

const ROOT = resolve(import.meta.dirname, '../..')
// Outside the checkout, or what is missing would be found in its packages.
const place = mkdtempSync(join(tmpdir(), 'klaim-packed-'))
t.teardown(() => { rmSync(place, { recursive: true }) })
const [packed = '', compiled = ''] = execFileSync('bash', ['-euc', 'source scripts/lib/setup.sh; klaim_cache=$1; ensure_packed; echo "$KLAIM_PACKED"; echo "$NODE_COMPILE_CACHE"', 'bash', place], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
const inside = (code: string): unknown => JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', code], { cwd: packed, encoding: 'utf8' }))

t.test('a package is a file, with its name and its licence', async (t) => {
  const names = globSync('**/package.json', { cwd: join(packed, 'node_modules') }).map((path) => path.replace(/\/?package\.json$/, ''))
  t.ok(names.length > 50, 'there is something to look at')
  t.ok(['typebox', '@whiskeysockets/baileys', 'libsignal', 'curve25519-js'].every((name) => names.includes(name)), 'what came with another is named, too')
  const texts = (at: string): string[] => readdirSync(at).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file)).toSorted()
  for (const name of names) {
    const [from, to] = [join(ROOT, 'node_modules', name), join(packed, 'node_modules', name)]
    t.same(texts(to), texts(from), name)
    const version = (at: string): unknown => (JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as { version?: unknown }).version
    t.equal(version(to), version(from))
  }
  t.ok(globSync('**/*.js', { cwd: join(packed, 'node_modules') }).length < 120, 'and few files are left')
  t.notOk(existsSync(join(packed, 'node_modules/tap')), 'none for developers')
})

t.test('numbers above 2^53 come out of a message as they went in', async (t) => {
  const exact = "import { proto } from '@whiskeysockets/baileys'; const { Message } = proto; const sent = Message.ImageMessage.fromObject({ fileLength: '1152921504606846977' }); console.log(JSON.stringify(String(Message.ImageMessage.decode(Message.ImageMessage.encode(sent).finish()).fileLength)))"
  t.equal(inside(exact), '1152921504606846977')
})

t.test('a program that needs a package for developers is not packed', async (t) => {
  t.throws(() => execFileSync(process.execPath, [join(ROOT, 'deploy/pack.ts'), t.testdir({ 'program.ts': "import t from 'tap'\nt.pass()\n" }), 'program.ts'], { stdio: 'pipe' }), /for developers alone: tap/)
})

t.test('the journey of a member', async (t) => {
  t.ok(existsSync(compiled), 'the services were compiled')
  const system = await startJourneySystem({ rootOf: () => packed })
  t.teardown(async () => { await system.close() })
  await journey(t, system, 1, async () => {})
})
