import t from 'tap'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
const security = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8')

t.test('SECURITY.md', async (t) => {
  const rows = [...security.matchAll(/^\| (?!threat|---|\*\*)([^|]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(([, threat = '', , tests = '']) => ({ threat, tests: [...tests.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => path) }))
  const defended = rows.filter(({ tests }) => tests.length > 0)
  t.ok(defended.length > 20, 'names threats and what stands against them')
  for (const { threat, tests } of defended) t.same(tests.filter((path) => !existsSync(join(ROOT, path)) || globSync(path.endsWith('/') ? `${path}*.test.ts` : path, { cwd: ROOT }).length === 0), [], `${threat}: its tests are there`)
  t.same(security.split(/^## Threats.*$/m)[1]?.split(/^## /m)[0]?.split('\n').filter((line) => /^\| (?!threat|---|\*\*)/.test(line) && !line.includes('](')) ?? ['none'], [], 'each threat has a test')
})
