import t from 'tap'
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { runbookAnchor } from '../../contracts/events/dead-letters.ts'
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

t.test('every reason of a dead letter can be followed to its line', async (t) => {
  const permanent = globSync('services/**/*.ts', { cwd: ROOT }).filter((file) => !file.includes('/test/'))
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/permanent\(\s*'([A-Z_]+)'/g)].map(([, code = '']) => code))
  const reasons = [...new Set([...permanent, 'DELIVERIES_EXHAUSTED'])]
  t.ok(reasons.length > 20, 'there are reasons to look for')
  const lineOf = (reason: string): string => runbook.split('\n').find((line) => line.includes(`<a id="${runbookAnchor(reason).split('#')[1]}"></a>\`${reason}\``)) ?? ''
  t.same(reasons.filter((reason) => lineOf(reason).split('|').length < 4), [])
  const anchors = [...runbook.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id)
  t.equal(new Set(anchors).size, anchors.length, 'an anchor is one place')
})
