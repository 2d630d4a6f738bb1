import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

// TypeScript 7 has no compiler API, so the import lines are read as text.
const ROOT = resolve(import.meta.dirname, '../..')
const IMPORT = /^\s*(?:import|export)\b[^'"\n]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm

const files = globSync('{contracts,services,deploy,scripts}/**/*.{ts,tsx}', { cwd: ROOT }).filter((file) => !file.includes('node_modules') && !file.includes('.tap') && !/^services\/web\/(out|\.next)\//.test(file))
const isTest = (file: string) => /(^|\/)test\//.test(file)

/** Files that a file imports, relative to the root; packages are named as they are. */
function importsOf (file: string): string[] {
  return [...readFileSync(join(ROOT, file), 'utf8').matchAll(IMPORT)].map(([, from, bare, dynamic]) => {
    const name = from ?? bare ?? dynamic ?? ''
    return name.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), name)) : name
  })
}

/** What puts services and doubles together knows both. */
const ASSEMBLED = ['deploy/staging/system.ts', 'deploy/staging/klaim-nats.ts']

/** Where a file lives: `contracts`, `services/common`, `services/bot`, `deploy/staging/panel`, … */
function homeOf (file: string): string {
  const parts = file.split('/')
  return parts[0] === 'services' ? parts.slice(0, 2).join('/') : parts[0] === 'deploy' ? parts.slice(0, 3).join('/') : parts[0] ?? ''
}

t.test('imports point one way', async (t) => {
  t.ok(files.length > 50, 'there is something to look at')
  const wrong: string[] = []
  for (const file of files.filter((each) => !isTest(each))) {
    const home = homeOf(file)
    for (const target of importsOf(file)) {
      const to = target.includes('/') && !target.startsWith('@') ? homeOf(target) : target
      const allowed =
        home === 'contracts' ? to === 'contracts' || to === 'typebox' :
        home === 'services/common' ? to !== 'scripts' && !to.startsWith('deploy/') && (!to.startsWith('services/') || to === 'services/common') :
        home.startsWith('services/') ? !to.startsWith('deploy') && to !== 'scripts' && (!to.startsWith('services/') || to === 'services/common' || to === home) :
        home.startsWith('deploy/staging/') && !ASSEMBLED.includes(home) ? !to.startsWith('services') && to !== 'contracts' :
        true
      if (!allowed) wrong.push(`${file} imports ${target}`)
    }
  }
  t.same(wrong, [], 'contracts, then services/common, then each service; no service knows another, or a double')
})

t.test('only the bus knows NATS', async (t) => {
  const wrong = files.filter((file) => /^services\/(?!common\/)/.test(file) && !isTest(file) && importsOf(file).some((name) => name.startsWith('@nats-io/')))
  t.same(wrong, ['services/claim-store/ledger.ts'], 'and the ledger, which replays a stream')
})

t.test('the environment is read in one place', async (t) => {
  const wrong = files.filter((file) => file.startsWith('services/') && !isTest(file) && /process\.env|from 'node:process'/.test(readFileSync(join(ROOT, file), 'utf8')))
  t.same(wrong.toSorted(), ['services/common/run.ts', 'services/web/app/page-data.ts', 'services/web/next.config.ts'], 'and, when the claim page is built, in two others')
})
