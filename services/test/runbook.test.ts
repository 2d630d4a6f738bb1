import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FAILURE_CODES, HTTP_CODES, UNDELIVERABLE_CODES, WEBHOOK_CODES } from '../../contracts/codes.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const runbook = readFileSync(join(ROOT, 'RUNBOOK.md'), 'utf8')

t.test('every code has its line in the runbook', async (t) => {
  const thrown = globSync('services/**/*.ts', { cwd: ROOT }).filter((file) => !file.includes('/test/'))
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/(?:transient|permanent)\(\s*'([A-Z_]+)'|'(WHATSAPP_[A-Z_]+)'|reason: '([A-Z]+_[A-Z_]+)'/g)].map(([, code, whatsapp, reason]) => code ?? whatsapp ?? reason ?? ''))
  const codes = [...new Set([...thrown, ...FAILURE_CODES, ...UNDELIVERABLE_CODES, ...Object.keys(HTTP_CODES), ...Object.keys(WEBHOOK_CODES)])].toSorted()
  t.ok(codes.length > 60, 'there are codes to look for')
  t.same(codes.filter((code) => !runbook.includes(`\`${code}\``)), [])
})
